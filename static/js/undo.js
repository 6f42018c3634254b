// What was deleted is hidden until it is gone for good, and shown again when that is undone.
// Sent by the server as HX-Trigger: {"deleted": {"ids": […]}}, {"restored": {"ids": […]}}
(() => {
  const UNDO_MS = 15000; // as long as the server keeps it
  const all = (ids) => ids.flatMap((id) => [...document.querySelectorAll(`[data-deletable="${CSS.escape(id)}"]`)]);
  document.addEventListener("deleted", (event) => {
    const { ids } = event.detail;
    for (const element of all(ids)) element.hidden = true;
    const shown = document.querySelector("#dialog [data-viewer]");
    if (shown && ids.includes(shown.dataset.viewer)) document.getElementById("dialog").close();
    document.dispatchEvent(new CustomEvent("selection-changed"));
    setTimeout(() => all(ids).filter((element) => element.hidden).forEach((element) => element.remove()), UNDO_MS);
  });
  document.addEventListener("restored", (event) => {
    for (const element of all(event.detail.ids)) element.hidden = false;
  });
  document.addEventListener("submit", (event) => {
    const notice = event.target.closest("[data-undo]");
    if (notice) setTimeout(() => notice.remove(), 100);
  });
})();
