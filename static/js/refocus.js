// Pressing something in the reference preview replaces the preview: the focus stays inside it,
// on the same control if there still is one, else on the next thing to decide.
(() => {
  const preview = () => document.getElementById("reference-preview");
  let last = null; // the id of what has the focus in there, or "" without one

  document.addEventListener("focusin", (event) => {
    last = preview()?.contains(event.target) ? event.target.id : null;
  });
  document.addEventListener("htmx:after:swap", () => {
    if (last === null || document.activeElement !== document.body) return;
    const next = (last && document.getElementById(last))
      || preview()?.querySelector(".photo-check button, .preview__button, button");
    next?.focus({ preventScroll: true });
  });
})();
