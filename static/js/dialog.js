// Opens #dialog when a response fills it, empties it when it closes, gives the focus back.
(() => {
  const dialog = document.getElementById("dialog");
  if (!dialog) return;
  let opener = null;

  // A menu item is hidden once its menu has closed: remember the menu's button instead.
  const lastingOpener = (element) => {
    const menu = element.closest("[popover]:not(#notices)");
    return (menu && document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`)) || element;
  };

  const open = () => {
    if (!dialog.open) {
      const active = document.activeElement; // by keyboard; a tap need not give the focus
      if (active && active !== document.body) opener = lastingOpener(active);
      dialog.showModal();
    }
    (dialog.querySelector("[autofocus]") || dialog).focus({ preventScroll: true });
    document.dispatchEvent(new CustomEvent("dialog-opened"));
  };

  new MutationObserver(() => {
    if (dialog.childElementCount) open();
    else if (dialog.open) dialog.close();
  }).observe(dialog, { childList: true });

  document.addEventListener("click", (event) => {
    const control = event.target.closest("a, button, input, [tabindex]");
    if (control && !dialog.contains(control)) opener = lastingOpener(control);
    const closes = event.target === dialog || event.target.closest("#dialog [data-close]");
    if (closes) {
      event.preventDefault(); // a Cancel link leads somewhere only outside of the dialog
      dialog.close();
    }
    const menu = event.target.closest(".menu");
    if (menu && event.target.closest(".menu__item")) menu.hidePopover();
  });

  dialog.addEventListener("close", () => {
    if (dialog.open) return; // told late: on a busy machine it has been opened again by then
    dialog.replaceChildren();
    if (!opener?.isConnected) return;
    opener.blur(); // Chromium gave it the focus back, but a text field no caret to type at
    opener.focus({ preventScroll: true });
  });

  // Arrow keys turn to the picture before or after.
  dialog.addEventListener("keydown", (event) => {
    if (!event.target.matches("input, textarea")) dialog.querySelector(`[data-key="${event.key}"]`)?.click();
  });

  // Answers may ask for it: HX-Trigger: close-dialog
  document.addEventListener("close-dialog", () => dialog.open && dialog.close());
})();
