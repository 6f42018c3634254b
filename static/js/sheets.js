// Dialogs that are part of a page: opened by [data-open-sheet], closed by [data-close-sheet],
// by Esc and by a tap beside them.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open-sheet]");
  if (opener) document.getElementById(opener.dataset.openSheet)?.showModal();
  if (event.target.closest("[data-close-sheet]")) event.target.closest("dialog").close();
  if (event.target.matches("dialog.dialog[open]:not(#dialog)")) event.target.close();
});
