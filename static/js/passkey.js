// Asks the browser for a passkey and hands its answer to the form around the button.
// data-passkey="<address of the options>" or data-passkey-options="<id of a JSON script>"
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-passkey], [data-passkey-options]");
  if (!button) return;
  event.preventDefault();
  const form = button.form;
  const error = form.querySelector("[data-passkey-error]");
  if (error) error.hidden = true;
  try {
    const options = button.dataset.passkey
      ? await (await fetch(button.dataset.passkey, { headers: { Accept: "application/json" } })).json()
      : JSON.parse(document.getElementById(button.dataset.passkeyOptions).textContent);
    const credential = await webauthnJSON.get(options.request_options);
    form.elements.credential.value = JSON.stringify(credential);
    form.requestSubmit();
  } catch {
    if (error) error.hidden = false; // the person closed the browser's question, or has no key
  }
});

// Adding a key: allauth's own script asks; here its failure gets words.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const place = document.querySelector("[data-passkey-error]");
  if (place) place.hidden = false;
});
