// "Pick one photo of yourself": by itself before the first upload, later when asked for.
(() => {
  const tutorial = document.getElementById("tutorial");
  if (!tutorial) return;
  const SEEN = "photo-tutorial-seen";
  let then = null;

  const isSeen = () => {
    try { return localStorage.getItem(SEEN) === "yes"; } catch { return tutorial.dataset.seen === "yes"; }
  };
  const remember = () => {
    tutorial.dataset.seen = "yes";
    try { localStorage.setItem(SEEN, "yes"); } catch { /* private windows forget */ }
  };
  const open = () => { if (!tutorial.open) tutorial.showModal(); };

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-tutorial]")) open();
    if (!event.target.closest("[data-tutorial-done]")) return;
    const next = then;
    then = null;
    remember();
    tutorial.close();
    next?.();
  });
  document.addEventListener("before-upload", (event) => {
    if (isSeen()) return;
    event.preventDefault();
    then = event.detail.then;
    open();
  });
  tutorial.addEventListener("close", () => { then = null; });
})();
