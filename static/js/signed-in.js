// Somebody signed in inside the dialog: the page stays, with a fresh token and a socket.
// Sent by the server as HX-Trigger: {"signed-in": {"target": "body", "csrfToken": "…"}}
document.addEventListener("signed-in", (event) => {
  const token = event.detail?.csrfToken;
  const body = document.body;
  if (token) {
    body.setAttribute("hx-headers:inherited", JSON.stringify({ "X-CSRFToken": token }));
    for (const field of document.querySelectorAll('input[name="csrfmiddlewaretoken"]')) field.value = token;
  }
  if (body.dataset.socket) {
    body.setAttribute("hx-ws:connect", body.dataset.socket);
    delete body.dataset.socket;
    htmx.process(body);
  }
  const dialog = document.getElementById("dialog");
  if (dialog?.open) dialog.close();
});
