// On phones the composer is a sheet at the bottom: closed it is one line and a button,
// open it shows everything. Without scripts it simply stands above the pictures.
// Listened to on the document: "Use properties" replaces the form.
(() => {
  const form = () => document.getElementById("composer");
  if (!form()) return;
  const toggle = () => form().querySelector("[data-sheet-toggle]");
  const isSheet = () => getComputedStyle(form()).position === "fixed";
  const set = (isOpen) => {
    form().dataset.sheet = isOpen ? "open" : "closed";
    toggle().setAttribute("aria-expanded", String(isOpen));
    toggle().firstElementChild.textContent = isOpen ? "Hide settings" : "Show all settings";
  };
  // The sheet tells the page how tall it is, so that the last picture is not below it.
  const sizes = new ResizeObserver(() => {
    const height = form().dataset.sheet === "open" ? 0 : form().offsetHeight;
    form().closest("main").style.setProperty("--sheet", `${height}px`);
  });
  const measure = () => { sizes.disconnect(); sizes.observe(form()); };
  measure();

  // A tap on the grip must not blur the prompt first: the sheet would shrink away from the finger.
  document.addEventListener("mousedown", (event) => { if (event.target.closest("[data-sheet-toggle]")) event.preventDefault(); });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-sheet-toggle]")) {
      set(form().dataset.sheet !== "open");
      if (form().elements.prompt === document.activeElement) form().elements.prompt.blur();
    } else if (form().dataset.sheet === "closed" && isSheet() && event.target.closest("#composer .model-choice")) {
      event.preventDefault(); // the one face that is shown opens the choice
      set(true);
    }
  });
  document.addEventListener("composer-filled", measure);
  document.addEventListener("submit", (event) => { if (event.target === form()) set(false); });
  // On the document: opened by a tap, nothing inside the sheet has the focus.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || form().dataset.sheet !== "open" || !isSheet()) return;
    if (!document.querySelector("dialog[open]")) { set(false); toggle().focus(); }
  });
  document.addEventListener("generation-made", () => scrollTo({ top: 0, behavior: "smooth" }));

  // A flick on the grip, up or down.
  let start = null;
  document.addEventListener("pointerdown", (event) => { start = event.target.closest("[data-sheet-toggle]") ? event.clientY : null; });
  document.addEventListener("pointerup", (event) => {
    const moved = start === null ? 0 : event.clientY - start;
    start = null;
    if (Math.abs(moved) <= 24) return;
    set(moved < 0);
    // The click that may follow a flick would undo it.
    const swallow = (click) => click.stopImmediatePropagation();
    document.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => document.removeEventListener("click", swallow, { capture: true }));
  });
})();
