// The composer: what it will cost, why it cannot go, ideas into words, properties back into fields.
(() => {
  const form = document.getElementById("composer");
  if (!form) return;
  const prompt = form.elements.prompt;
  const button = form.querySelector("[data-generate]");
  const why = form.querySelector("[data-why]");

  const refresh = () => {
    const state = document.getElementById("model-state");
    const isReady = state?.dataset.ready === "true";
    const cost = Number(form.dataset.price) * Number(form.elements.count.value || 1);
    form.querySelector("[data-cost]").textContent = `${cost} credit${cost === 1 ? "" : "s"}`;
    button.disabled = !isReady || !prompt.value.trim();
    const isTraining = state?.querySelector('[data-training-state="queued"], [data-training-state="running"]');
    why.textContent = !isReady
      ? `${state?.dataset.name} ${isTraining ? "is still being trained." : "has to be trained first."}`
      : "Write what you want to see.";
    why.hidden = !button.disabled;
    for (const idea of form.querySelectorAll("[data-word]")) {
      idea.setAttribute("aria-pressed", String(parts().includes(idea.dataset.word)));
    }
  };

  const parts = () => prompt.value.split(",").map((part) => part.trim()).filter(Boolean);
  const write = (value) => { prompt.value = value; refresh(); };

  form.addEventListener("click", (event) => {
    const idea = event.target.closest("[data-word]");
    if (!idea) return;
    const word = idea.dataset.word;
    const said = parts();
    write((said.includes(word) ? said.filter((part) => part !== word) : [...said, word]).join(", "));
  });
  form.addEventListener("input", refresh);
  form.addEventListener("change", refresh);
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !button.disabled) form.requestSubmit(button);
  });

  // A training that ends makes the button work, or offers to train again, without a reload.
  const told = new Set();
  const ENDED = ["succeeded", "failed", "canceled"].map((name) => `[data-training-state="${name}"]`).join();
  const state = () => document.getElementById("model-state");
  new MutationObserver(() => {
    const ended = state()?.dataset.ready === "false" && state().querySelector(ENDED);
    if (ended && !told.has(ended.id)) {
      told.add(ended.id);
      htmx.ajax("GET", `/create/model/?model=${form.elements.model.value}`,
        { target: "#model-state", swap: "outerHTML" });
    }
    refresh();
  }).observe(form.querySelector(".composer__more"), { subtree: true, childList: true, attributes: true, attributeFilter: ["data-training-state"] });

  const choose = (name, value) => {
    for (const field of form.querySelectorAll(`[name="${name}"]`)) {
      if (field.value === value && !field.checked) field.click();
    }
  };
  document.addEventListener("click", (event) => {
    const source = event.target.closest("[data-use-properties]");
    if (!source || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const { prompt: words, negativePrompt, count, seed, model } = source.dataset;
    choose("model", model);
    choose("count", count);
    choose("seed_mode", "fixed");
    form.elements.seed.value = seed;
    if (form.elements.negative_prompt) form.elements.negative_prompt.value = negativePrompt;
    write(words);
    form.dispatchEvent(new CustomEvent("open-sheet"));
    prompt.focus();
    document.getElementById("notices").append(
      document.getElementById("notice-properties").content.firstElementChild.cloneNode(true));
  });
  refresh();
})();
