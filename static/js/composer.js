// The composer: what it will cost, why it cannot go, ideas into words, pictures into slots.
// Everything is listened to on the document, since the form is replaced by "Use properties".
(() => {
  const form = () => document.getElementById("composer");
  const state = () => document.getElementById("model-state");
  const chosen = (name) => form().querySelector(`[name="${name}"]:checked`);
  const prompt = () => form().elements.prompt;
  const parts = () => prompt().value.split(",").map((part) => part.trim()).filter(Boolean);
  const FROM_A_PICTURE = ["edit", "enhance", "restyle", "vary"];
  const MAY_BE_SILENT = ["enhance", "restyle", "vary"];

  const cost = (kind) => {
    const quality = chosen("quality")?.dataset ?? {};
    const number = (name) => Number(form().elements[name]?.value || 1);
    if (kind === "enhance") return Number(form().dataset.enhancePrice);
    if (kind === "video") return quality.video * number("seconds");
    const each = kind === "edit" || kind === "restyle" ? quality.edit : quality.image;
    return each * number("count") * number("best_of");
  };
  const missing = (kind) => {
    const isReady = state()?.dataset.ready === "true";
    const isTraining = state()?.querySelector('[data-training-state="queued"], [data-training-state="running"]');
    const has = (role) => form().querySelector(`#slot-${role} [name="${role}"]`);
    if (["image", "video"].includes(kind) && !isReady) return `${state()?.dataset.name} ${isTraining ? "is still being trained." : "has to be trained first."}`;
    if (FROM_A_PICTURE.includes(kind) && !has("source")) return "Choose a picture first.";
    if (kind === "restyle" && !has("style_picture")) return "Choose a picture whose style you want.";
    const isShown = form().querySelector("#slot-style [name=style], #slot-style_picture [name=style_picture]");
    const isSilent = MAY_BE_SILENT.includes(kind) || (kind === "image" && isShown) || (kind === "video" && (isShown || has("source")));
    if (!isSilent && !prompt().value.trim()) return kind === "edit" ? "Write what should change." : "Write what you want to see.";
    return "";
  };
  // Only what changed: the observer below would hear of it, and ask again.
  const say = (element, words) => { if (element.textContent !== words) element.textContent = words; };
  const refresh = () => {
    if (!form()) return;
    const kind = chosen("kind")?.value ?? "image";
    const credits = cost(kind);
    say(form().querySelector("[data-cost]"), `${credits} credit${credits === 1 ? "" : "s"}`);
    const why = form().querySelector("[data-why]");
    const words = missing(kind);
    form().querySelector("[data-generate]").disabled = words !== "";
    say(why, words);
    why.hidden = !words;
    for (const idea of form().querySelectorAll("[data-word]")) idea.setAttribute("aria-pressed", String(parts().includes(idea.dataset.word)));
  };

  document.addEventListener("click", (event) => {
    const idea = event.target.closest("#composer [data-word]");
    if (idea) {
      const said = parts(), word = idea.dataset.word;
      prompt().value = (said.includes(word) ? said.filter((part) => part !== word) : [...said, word]).join(", ");
      prompt().dispatchEvent(new Event("input", { bubbles: true }));
    }
    // From a dialog into the form below it; elsewhere the link leads to the workstation.
    const into = event.target.closest("[data-into-composer]");
    if (into && form() && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      document.getElementById("dialog").close();
      htmx.ajax("GET", into.dataset.intoComposer, { target: "#composer", swap: "outerHTML" });
    }
    const choice = event.target.closest("[data-choose]");
    if (choice && form()) setTimeout(() => document.getElementById("dialog").close()); // its request has begun
  });
  for (const name of ["input", "change"]) document.addEventListener(name, (event) => { if (event.target.closest("#composer")) refresh(); });
  document.addEventListener("keydown", (event) => {
    const isSend = event.target.id === "prompt" && event.key === "Enter" && (event.ctrlKey || event.metaKey);
    const button = form()?.querySelector("[data-generate]");
    if (isSend && !button.disabled) form().requestSubmit(button);
  });

  // A training that ends makes the button work, or offers to train again, without a reload.
  const told = new Set();
  const ENDED = ["succeeded", "failed", "canceled"].map((name) => `[data-training-state="${name}"]`).join();
  new MutationObserver(() => {
    const ended = state()?.dataset.ready === "false" && state().querySelector(ENDED);
    if (ended && !told.has(ended.id)) {
      told.add(ended.id);
      htmx.ajax("GET", `/create/model/?model=${chosen("model").value}`, { target: "#model-state", swap: "outerHTML" });
    }
    refresh();
  }).observe(document.querySelector(".workstation") ?? document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-training-state"] });
  document.addEventListener("composer-filled", () => {
    refresh();
    if (prompt().checkVisibility()) prompt().focus({ preventScroll: true });
  });
  refresh();
})();
