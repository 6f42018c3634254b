// "@" in the prompt: a list of people to choose from, and pills behind the names that are known.
(() => {
  const field = () => document.getElementById("prompt");
  const names = () => [...new Set([...document.querySelectorAll("#composer .model-choice:has(input) span, #composer .candidate span")].map((one) => one.textContent.trim()))];
  const list = document.createElement("ul");
  Object.assign(list, { id: "mentions", className: "mentions choices" });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "People");
  let at = -1;

  // The text behind the field, each known name in a mark: the field's own words lie over it.
  const paint = () => {
    const behind = field()?.previousElementSibling;
    if (!behind) return;
    const text = field().value, found = [];
    if (!text) return behind.replaceChildren(); // where it is scrolled to would have to be laid out
    const known = names().sort((one, other) => other.length - one.length);
    for (const match of text.matchAll(/(?<![\w.])@(?=\p{L}|\p{N})/gu)) {
      const name = known.find((one) => text.slice(match.index + 1, match.index + 1 + one.length).toLowerCase() === one.toLowerCase() && !/[\p{L}\p{N}_]/u.test(text[match.index + 1 + one.length] ?? ""));
      if (name) found.push([match.index, match.index + 1 + name.length]);
    }
    let from = 0;
    const nodes = found.flatMap(([start, end]) => {
      const mark = document.createElement("mark");
      mark.textContent = text.slice(start, end);
      const before = document.createTextNode(text.slice(from, start));
      from = end;
      return [before, mark];
    });
    behind.replaceChildren(...nodes, document.createTextNode(`${text.slice(from)} `));
    behind.scrollTop = field().scrollTop;
  };
  const typed = () => /(?<![\w.])@([^@\n,]{0,32})$/.exec(field().value.slice(0, field().selectionStart));
  const close = () => { list.remove(); at = -1; field()?.removeAttribute("aria-activedescendant"); };
  const open = () => {
    const found = typed();
    const fits = found ? names().filter((name) => name.toLowerCase().startsWith(found[1].toLowerCase())) : [];
    if (!fits.length || fits.some((name) => name.toLowerCase() === found[1].toLowerCase())) return close();
    list.replaceChildren(...fits.slice(0, 8).map((name, index) => {
      const item = document.createElement("li");
      Object.assign(item, { id: `mention-${index}`, textContent: name, className: "choices__one" });
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      return item;
    }));
    at = -1;
    field().closest(".prompt").append(list);
  };
  const take = (name) => {
    const input = field(), start = input.selectionStart - typed()[0].length;
    input.setRangeText(`@${name} `, start, input.selectionStart, "end");
    close();
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.focus();
    close();
  };
  const move = (by) => {
    list.children[at]?.setAttribute("aria-selected", "false");
    at = (at + by + list.children.length) % list.children.length;
    list.children[at].setAttribute("aria-selected", "true");
    field().setAttribute("aria-activedescendant", list.children[at].id);
  };
  // "Add a person" names the one that is picked as well, so that both are meant.
  const begin = () => {
    const input = field(), picked = document.querySelector("#composer .model-choice:has(:checked) span")?.textContent.trim();
    const isOpen = document.querySelector("#composer [name=kind][value=image]")?.checked;
    const lead = isOpen && picked && !input.value.includes("@") ? `@${picked} and ` : "";
    const gap = input.value && !/\s$/.test(input.value) && !lead ? " " : "";
    input.setRangeText(`${lead}${gap}@`, lead ? 0 : input.value.length, lead ? 0 : input.value.length, "end");
    if (lead && input.value.length > lead.length + 1) { input.setRangeText(" ", lead.length + 1, lead.length + 1, "start"); input.setSelectionRange(lead.length + 1, lead.length + 1); }
    input.focus();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };

  document.addEventListener("input", (event) => { if (event.target === field()) { paint(); open(); } });
  document.addEventListener("scroll", (event) => { if (event.target === field()) paint(); }, true);
  document.addEventListener("mousedown", (event) => { if (event.target.closest("#mentions")) event.preventDefault(); });
  document.addEventListener("click", (event) => {
    const item = event.target.closest("#mentions li");
    if (item) take(item.textContent);
    else if (event.target.closest("[data-mention]")) begin();
    else if (event.target !== field()) close();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target !== field() || !list.isConnected) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const isMine = step || event.key === "Escape" || (["Enter", "Tab"].includes(event.key) && at >= 0);
    if (!isMine) return;
    event.preventDefault();
    event.stopPropagation();
    if (step) move(step);
    else if (event.key === "Escape") close();
    else take(list.children[at].textContent);
  }, true);
  document.addEventListener("composer-filled", paint);
  paint();
})();
