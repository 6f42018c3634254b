// Where people stand: who the prompt names, and the boxes that were drawn for them, in one field
// of the form. The frame itself comes with placing.js, when it is opened for the first time.
(() => {
  const form = () => document.getElementById("composer");
  const part = () => form()?.querySelector("[data-places]");
  const drawn = new Map(); // id -> box; whoever leaves the prompt may come back to it
  let frame = null;

  // The marks behind the prompt are the names that are known: of two alike the picked one is meant.
  const person = (name) => {
    const choices = [...form().querySelectorAll(".model-choice:has(input), .candidate")];
    const alike = choices.filter((one) => one.querySelector("span").textContent.trim().toLowerCase() === name);
    const choice = alike.find((one) => one.matches(".model-choice:has(:checked)")) ?? alike[0];
    return choice && { id: choice.querySelector("input").value, name: choice.querySelector("span").textContent.trim(), face: choice.querySelector("img")?.src };
  };
  const people = () => {
    const marks = [...form().querySelectorAll(".prompt__pills mark")].map((mark) => person(mark.textContent.slice(1).toLowerCase()));
    return [...new Map(marks.filter(Boolean).map((one) => [one.id, one])).values()];
  };

  const rounded = (value) => Math.round(value * 1000) / 1000;
  const usual = (at, count) => ({ x: rounded((at + 0.1) / count), y: 0.1, width: rounded(0.8 / count), height: 0.9 });
  const shared = (one, other) => ["x", "y"].map((side, at) => {
    const length = ["width", "height"][at];
    return Math.max(0, Math.min(one[side] + one[length], other[side] + other[length]) - Math.max(one[side], other[side]));
  }).reduce((across, down) => across * down);
  // For somebody who came later: of the usual places the one that is most free.
  const free = (who) => {
    const taken = who.filter((one) => drawn.has(one.id)).map((one) => drawn.get(one.id));
    const covered = (place) => taken.reduce((sum, box) => sum + shared(place, box), 0);
    return who.map((_, at) => usual(at, who.length)).sort((one, other) => covered(one) - covered(other))[0];
  };

  const refresh = () => {
    if (!part()) return;
    const who = people(), isDrawn = who.length > 1 && who.some((one) => drawn.has(one.id));
    for (const one of who) if (isDrawn && !drawn.has(one.id)) drawn.set(one.id, free(who));
    const field = form().elements.boxes;
    field.disabled = false;
    field.value = isDrawn ? JSON.stringify(who.map((one) => ({ portrait_model_id: one.id, ...drawn.get(one.id) }))) : "";
    part().hidden = who.length < 2;
    part().querySelector("[data-placed]").hidden = !isDrawn;
    if (frame && part().open) show(who);
  };
  const show = (who) => {
    const ratio = form().querySelector("[name=aspect_ratio]:checked").value;
    const [across, down] = (ratio === "auto" ? part().dataset.auto : ratio).split(":");
    const boxes = who.map((one, at) => ({ ...one, box: drawn.get(one.id) ?? usual(at, who.length) }));
    frame.show(part(), boxes, across / down, (placed) => {
      for (const one of placed) drawn.set(one.id, one.box);
      refresh();
    });
  };
  const read = () => {
    drawn.clear();
    try {
      for (const { portrait_model_id: id, ...box } of JSON.parse(form()?.elements.boxes?.value || "[]")) drawn.set(id, box);
    } catch { /* what a person cannot have sent */ }
    refresh();
  };

  for (const name of ["input", "change"]) document.addEventListener(name, (event) => { if (event.target.closest("#composer")) refresh(); });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-places-reset]")) return;
    drawn.clear();
    refresh();
  });
  // The event of a <details> does not bubble.
  document.addEventListener("toggle", async (event) => {
    if (event.target !== part() || !part().open) return;
    frame ??= await import(part().dataset.script);
    refresh();
    part().scrollIntoView({ block: "nearest" });
  }, true);
  document.addEventListener("composer-filled", read);
  read();
})();
