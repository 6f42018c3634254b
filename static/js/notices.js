// Short words in the corner: they leave by themselves, unless they tell of a failure.
// Also speaks for a server that did not answer, and keeps whole error pages out of fragments.
(() => {
  const region = document.getElementById("notices");
  if (!region) return;
  const STAY_MS = 6000;
  const UNDO_MS = 10000; // as generator/library/services.py

  const raise = () => {
    if (!region.showPopover) return;
    if (region.matches(":popover-open")) region.hidePopover();
    if (region.childElementCount) region.showPopover(); // last shown stands on top
  };

  const welcome = (notice) => {
    if (notice.matches(".notice--bad, .notice--danger, .notice--error")) return;
    let timer = 0;
    const leave = () => notice.remove();
    const wait = () => { timer = setTimeout(leave, notice.matches("[data-undo]") ? UNDO_MS : STAY_MS); };
    for (const name of ["pointerenter", "focusin"]) notice.addEventListener(name, () => clearTimeout(timer));
    for (const name of ["pointerleave", "focusout"]) notice.addEventListener(name, wait);
    wait();
  };

  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) if (node.matches?.("[data-notice]")) welcome(node);
    }
    raise();
  }).observe(region, { childList: true });
  region.querySelectorAll("[data-notice]").forEach(welcome);
  raise();
  document.addEventListener("dialog-opened", raise);

  region.addEventListener("click", (event) => {
    if (event.target.closest("[data-dismiss]")) event.target.closest("[data-notice]").remove();
  });

  const say = (words) => {
    const notice = document.getElementById("notice-lost").content.firstElementChild.cloneNode(true);
    if (words) notice.querySelector("p").textContent = words;
    if (region.lastElementChild?.textContent.trim() !== notice.textContent.trim()) region.append(notice);
  };

  const isPoll = (ctx) => ctx?.sourceEvent?.type === "every";
  document.addEventListener("htmx:error", (event) => {
    if (event.detail.ctx && !isPoll(event.detail.ctx)) say();
  });
  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx } = event.detail;
    const status = ctx?.response?.status ?? 200;
    if (status < 400) return;
    const isPage = /^\s*<(!doctype|html)/i.test(ctx.text ?? "");
    if (status < 500 && !isPage) return;
    event.preventDefault();
    if (isPoll(ctx)) return;
    say({ 403: "This page is out of date. Reload it and try again.",
          404: "This is no longer here.", 413: "This is too large." }[status]);
  });
})();
