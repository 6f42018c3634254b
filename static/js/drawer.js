// The workstation drawer of phones: its handle is tapped or swiped, and it makes room for results.
(() => {
  const SWIPE_PX = 24;
  let from = null;

  const set = (drawer, isOpen) => {
    if (!drawer) return;
    drawer.dataset.open = isOpen ? "yes" : "no";
    drawer.querySelector("[data-drawer-toggle]").setAttribute("aria-expanded", String(isOpen));
  };
  const any = () => document.querySelector("[data-drawer]");
  const isOpen = (drawer) => drawer.dataset.open === "yes";

  document.addEventListener("click", (event) => {
    const drawer = event.target.closest("[data-drawer-toggle]")?.closest("[data-drawer]");
    if (drawer) set(drawer, !isOpen(drawer));
    if (event.target.closest("[data-opens-drawer]")) set(any(), true);
  });
  document.addEventListener("pointerdown", (event) => {
    from = event.target.closest("[data-drawer-toggle]") ? event.clientY : null;
  });
  document.addEventListener("pointerup", (event) => {
    const way = from === null ? 0 : event.clientY - from;
    from = null;
    if (Math.abs(way) < SWIPE_PX) return; // a tap: the click does it
    set(any(), way < 0);
    // The click that may follow a swipe would undo it.
    const swallow = (click) => click.stopPropagation();
    document.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => document.removeEventListener("click", swallow, { capture: true }));
  });
  document.addEventListener("htmx:after:swap", (event) => {
    const drawer = any();
    if (!drawer) return;
    const wrong = drawer.querySelector(".field__error, .callout--bad");
    if (wrong) {
      set(drawer, true);
      // A refused form: to the first control that is wrong.
      if (!event.detail?.ctx?.sourceElement?.matches("#influencer-form")) return; // its field named "id" hides .id
      wrong.scrollIntoView({ block: "center" });
      wrong.closest(".field")?.querySelector("input, textarea")?.focus({ preventScroll: true });
    }
    else if (event.detail?.ctx?.target?.id === "face-history") set(drawer, false);
  });
})();
