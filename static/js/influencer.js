// The influencer generator: its panel inside the create page, the face that is selected,
// the way of a face back to the reference preview.
(() => {
  const panel = document.getElementById("influencer-panel");
  const root = () => document.querySelector("[data-generator-root]");
  const form = () => document.getElementById("influencer-form");
  const isSignedIn = () => (document.getElementById("create-form") ?? root())?.dataset.signedIn === "true";
  let resubmit = false;

  const say = (words) => {
    const notices = document.getElementById("notices");
    const notice = document.getElementById("notice-lost").content.firstElementChild.cloneNode(true);
    notice.className = "notice notice--info";
    notice.querySelector("p").textContent = words;
    if (notices.lastElementChild?.textContent.trim() !== notice.textContent.trim()) notices.append(notice);
  };
  const openPanel = () => {
    document.getElementById("reference-sheet")?.close();
    if (!isSignedIn()) {
      return document.dispatchEvent(new CustomEvent("ask-to-sign-in", { detail: { then: openPanel } }));
    }
    panel.showModal();
    document.dispatchEvent(new CustomEvent("dialog-opened"));
    if (!panel.childElementCount) htmx.ajax("GET", panel.dataset.url, { target: "#influencer-panel", swap: "innerHTML" });
  };
  const select = (button) => {
    const preview = document.getElementById("reference-preview");
    if (!preview) return false; // a page of its own: the link leads to the create page
    htmx.ajax("GET", button.dataset.previewUrl, { target: "#reference-preview", swap: "outerHTML" });
    panel.close();
    return true;
  };
  // The history shows which face is selected.
  const mark = () => {
    const selected = document.getElementById("selected-face");
    for (const face of document.querySelectorAll("[data-face]")) {
      const isIt = face.dataset.face === selected?.dataset.of;
      if (isIt !== face.hasAttribute("aria-current")) isIt ? face.setAttribute("aria-current", "true") : face.removeAttribute("aria-current");
    }
    return selected;
  };
  // When that face has ended, it is looked at again.
  const look = () => {
    const selected = mark();
    const drawn = document.getElementById(`generation-${selected?.dataset.of?.split(".")[0]}`);
    if (drawn && !drawn.hasAttribute("hx-get") && "unfinished" in selected.dataset) htmx.trigger(selected, "look-again");
  };
  const watch = () => {
    const history = document.getElementById("face-history");
    if (!history || history.dataset.watched) return;
    history.dataset.watched = "yes";
    new MutationObserver(look).observe(history, { childList: true, subtree: true, attributeFilter: ["aria-current"] });
    look();
  };

  document.addEventListener("click", (event) => {
    if (panel && event.target.closest("[data-generator]")) {
      event.preventDefault();
      openPanel();
    }
    const button = event.target.closest("[data-select]");
    if (button?.dataset.warning) say(button.dataset.warning);
    else if (button && select(button)) event.preventDefault();
  });
  document.addEventListener("submit", (event) => {
    if (event.target === form()) resubmit = !isSignedIn();
  }, true);
  document.addEventListener("htmx:after:swap", (event) => {
    watch();
    const selected = mark();
    if (event.detail?.ctx?.sourceElement?.matches?.("[data-face]")) selected?.closest("section").scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("signed-in", async () => {
    if (!root()) return;
    root().dataset.signedIn = "true";
    const again = resubmit;
    resubmit = false;
    // The form as this person's plan has it, with what was typed; then their history.
    await htmx.ajax("POST", form().dataset.formUrl, { source: form(), target: "#influencer-form", swap: "outerHTML" });
    await htmx.ajax("GET", root().dataset.historyUrl, { target: "#face-history", swap: "afterbegin" });
    if (again) form().requestSubmit();
  });
  watch();
})();
