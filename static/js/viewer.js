// One picture, large: arrows through whatever list it was opened from, zoom, before and after, keys.
(() => {
  const dialog = document.getElementById("dialog");
  const viewer = () => document.querySelector("[data-viewer]");
  const isOpen = () => viewer() && (!dialog?.open || dialog.contains(viewer()));

  // The pictures of the page in the order they stand there; inside a page of its own, its links.
  const turn = (by) => {
    const all = [...document.querySelectorAll("main [data-asset]")].filter((one) => one.checkVisibility());
    const here = all.findIndex((one) => one.dataset.asset === viewer().dataset.viewer);
    const next = here < 0 ? null : all[here + by]?.querySelector(".picture__open");
    if (!next) return document.querySelector(`[data-turn="${by < 0 ? "back" : "on"}"]`)?.click();
    next.scrollIntoView({ block: "nearest" });
    htmx.ajax("GET", next.getAttribute("hx-get"), { target: "#dialog", swap: "innerHTML" });
  };
  const zoom = (button) => {
    const picture = button.querySelector("img");
    const isZoomed = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!isZoomed));
    if (!isZoomed) picture.src = picture.dataset.large;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button) zoom(button);
    const arrow = event.target.closest("#dialog [data-turn]");
    if (arrow && event.isTrusted) {
      event.preventDefault();
      event.stopImmediatePropagation();
      turn(arrow.dataset.turn === "back" ? -1 : 1);
    }
    const url = event.target.closest("[data-share-url]");
    if (url) { url.select(); navigator.clipboard?.writeText(url.value).catch(() => {}); }
  }, true);
  document.addEventListener("keydown", (event) => {
    if (!isOpen() || event.target.matches("input:not([type=range]), textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && !event.target.matches("[type=range], video")) { event.preventDefault(); turn(by); }
    if (event.key === "d") viewer().querySelector("[data-download]")?.click();
    if (event.key === "f") viewer().querySelector("[data-favourite]")?.click();
    if (event.key === "Escape" && dialog && !dialog.open) history.back();
  });
  // The slider's value cuts the picture before; a style attribute would be refused, this is not.
  const compare = (slider) => slider.closest("[data-compare]").style.setProperty("--at", `${slider.value}%`);
  document.addEventListener("input", (event) => { if (event.target.matches("[data-compare-slider]")) compare(event.target); });
  document.addEventListener("dialog-opened", () => document.querySelectorAll("[data-compare-slider]").forEach(compare));
  document.querySelectorAll("[data-compare-slider]").forEach(compare);
  document.addEventListener("submit", (event) => { if (event.target.matches("#dialog [data-close-after]")) setTimeout(() => dialog.close(), 50); });

  // Clips in a list play while the pointer rests on them.
  const play = (event, isOn) => {
    const clip = event.target.closest?.(".picture")?.querySelector("[data-clip]");
    if (!clip || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    if (isOn) clip.play().catch(() => {});
    else if (!clip.closest(".picture").contains(event.relatedTarget)) clip.pause();
  };
  document.addEventListener("pointerover", (event) => play(event, true));
  document.addEventListener("pointerout", (event) => play(event, false));
})();
