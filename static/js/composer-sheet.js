// On phones the composer is a sheet at the bottom: closed it is one line and a button,
// open it shows everything. Without this file it simply stands above the pictures.
(() => {
  const form = document.getElementById("composer");
  if (!form) return;
  const toggle = form.querySelector("[data-sheet-toggle]");
  const set = (isOpen) => {
    form.dataset.sheet = isOpen ? "open" : "closed";
    toggle.setAttribute("aria-expanded", String(isOpen));
    toggle.firstElementChild.textContent = isOpen ? "Hide settings" : "Show all settings";
  };
  const isSheet = () => getComputedStyle(form).position === "fixed";
  // Whoever comes from making a model watches it learn; pictures made before wait below.
  const isAsked = !document.querySelector(".generation") || location.search.includes("model=");
  set(isAsked && form.querySelector("#model-state")?.dataset.ready === "false");

  // A tap on the grip must not blur the prompt first: the sheet would shrink away from the finger.
  toggle.addEventListener("mousedown", (event) => event.preventDefault());
  toggle.addEventListener("click", () => {
    set(form.dataset.sheet !== "open");
    if (form.elements.prompt === document.activeElement) form.elements.prompt.blur();
  });
  form.addEventListener("click", (event) => {
    if (form.dataset.sheet === "closed" && isSheet() && event.target.closest(".model-choice")) {
      event.preventDefault(); // the one face that is shown opens the choice
      set(true);
    }
  });
  form.addEventListener("open-sheet", () => set(true));
  form.addEventListener("submit", () => set(false));
  // On the document: opened by a tap, nothing inside the sheet has the focus.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || form.dataset.sheet !== "open" || !isSheet()) return;
    if (!document.querySelector("dialog[open]")) { set(false); toggle.focus(); }
  });
  document.addEventListener("generation-made", () => scrollTo({ top: 0, behavior: "smooth" }));

  // A flick on the grip, up or down.
  let start = null;
  toggle.addEventListener("pointerdown", (event) => { start = event.clientY; });
  toggle.addEventListener("pointerup", (event) => {
    const moved = event.clientY - start;
    if (Math.abs(moved) > 24) { set(moved < 0); toggle.addEventListener("click", (e) => e.stopImmediatePropagation(), { once: true, capture: true }); }
  });

  // The sheet tells the page how tall it is, so that the last picture is not below it.
  new ResizeObserver(() => {
    const height = form.dataset.sheet === "open" ? 0 : form.offsetHeight;
    document.documentElement.style.setProperty("--sheet", `${height}px`);
  }).observe(form);
})();
