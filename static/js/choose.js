// Choose or type: the options of a <datalist> as a list that can be searched, tapped and typed past.
// Without this script the browser shows the datalist itself, where it can.
(() => {
  const MARKS = /\p{M}/gu;
  const folded = (text) => text.normalize("NFD").replace(MARKS, "").toLowerCase();
  const list = document.createElement("ul");
  Object.assign(list, { id: "choices", className: "choices", role: "listbox" });
  let input = null; // whose choices are open
  let at = -1; // the option the arrow keys are on

  const close = () => {
    input?.setAttribute("aria-expanded", "false");
    input?.removeAttribute("aria-controls");
    input?.removeAttribute("aria-activedescendant");
    list.remove();
    [input, at] = [null, -1];
  };
  const options = (field, wanted) => {
    const all = [...document.getElementById(field.dataset.choices).options];
    const found = all.filter((option) => folded(`${option.value} ${option.text}`).includes(wanted));
    const starts = (option) => Number(!folded(option.value).startsWith(wanted));
    return wanted ? found.sort((one, other) => starts(one) - starts(other)) : found;
  };
  const row = (value, words, index) => {
    const item = document.createElement("li");
    Object.assign(item, { id: `choice-${index}`, role: "option", textContent: words, className: "choices__one" });
    item.dataset.value = value;
    item.setAttribute("aria-selected", String(value === input.value));
    return item;
  };
  // `wanted` is what to search for; nothing shows everything.
  const open = (field, wanted = "") => {
    if (input !== field) close();
    input = field;
    const found = options(field, folded(wanted.trim())).map((option) => [option.value, option.value]);
    if (!wanted && "mayBeEmpty" in field.dataset) found.unshift(["", "Leave it to chance"]);
    if (!found.length) return close();
    list.replaceChildren(...found.map(([value, words], index) => row(value, words, index)));
    list.setAttribute("aria-label", field.labels[0]?.textContent ?? "");
    field.closest(".field").append(list);
    field.setAttribute("aria-expanded", "true");
    field.setAttribute("aria-controls", list.id);
    field.removeAttribute("aria-activedescendant");
    at = -1;
    list.scrollIntoView({ block: "nearest" });
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  };
  const move = (by) => {
    const rows = list.children;
    rows[at]?.removeAttribute("data-active");
    at = at < 0 ? Math.max(0, [...rows].findIndex((item) => item.ariaSelected === "true")) : (at + by + rows.length) % rows.length;
    rows[at].dataset.active = "";
    rows[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", rows[at].id);
  };
  const take = (item) => {
    const field = input;
    field.value = item.dataset.value;
    close();
    for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
    close(); // the input event opened it again
  };
  const upgrade = () => {
    for (const field of document.querySelectorAll(".face-form input[list]")) {
      field.dataset.choices = field.getAttribute("list");
      field.removeAttribute("list");
      for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"]]) field.setAttribute(name, value);
    }
  };

  document.addEventListener("click", (event) => {
    const field = event.target.closest("[data-choices]");
    const item = event.target.closest(".choices__one");
    if (item) take(item);
    else if (field && field !== input) open(field);
    else if (!field) close();
  });
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays in the field
  document.addEventListener("input", (event) => { if (event.target.matches("[data-choices]")) open(event.target, event.target.value); });
  document.addEventListener("focusout", (event) => { if (event.target === input && !list.contains(event.relatedTarget)) close(); });
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches("[data-choices]")) return;
    const arrow = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (arrow && !input) open(event.target);
    if (arrow && input) move(arrow);
    const isHandled = arrow || (input && (event.key === "Escape" || (event.key === "Enter" && at >= 0)));
    if (!isHandled) return;
    event.preventDefault();
    event.stopPropagation(); // Esc closes the list, not the panel around it
    if (event.key === "Enter") take(list.children[at]);
    if (event.key === "Escape") close();
  }, true);
  document.addEventListener("htmx:after:swap", upgrade);
  upgrade();
})();
