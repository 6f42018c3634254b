// The library: filters apply as they are changed; chosen pictures bring up what can be done.
(() => {
  const bar = document.getElementById("selection");
  const filters = document.querySelector("[data-filters]");
  filters?.addEventListener("change", (event) => { if (event.target.type !== "search") filters.requestSubmit(); });
  if (!bar) return;
  let last = null; // for choosing a range with Shift
  const boxes = () => [...document.querySelectorAll("#shelf [name=picture]")].filter((box) => !box.closest("[hidden]"));
  const refresh = () => {
    const count = boxes().filter((box) => box.checked).length;
    bar.dataset.open = count ? "yes" : "no";
    bar.querySelector("[data-selected]").textContent = count ? `${count} chosen` : "";
  };
  document.addEventListener("click", (event) => {
    const box = event.target.closest("#shelf [name=picture]");
    if (!box) return;
    const all = boxes();
    if (event.shiftKey && last && all.includes(last)) {
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((one, other) => one - other);
      for (const other of all.slice(from, to + 1)) other.checked = box.checked;
    }
    last = box;
    refresh();
  });
  bar.addEventListener("reset", () => setTimeout(refresh));
  document.addEventListener("selection-changed", () => {
    for (const box of document.querySelectorAll("#shelf [hidden] [name=picture]")) box.checked = false;
    refresh();
  });
  refresh();
})();
