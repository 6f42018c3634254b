// Back from the payment page: what a limit had stopped is sent once more by itself.
window.addEventListener("load", () => {
  const form = document.querySelector("form[data-resume-send]");
  if (!form) return;
  form.removeAttribute("data-resume-send");
  history.replaceState(null, "", location.href.replace(/[?&]resume=1/, "")); // a reload sends nothing
  setTimeout(() => form.requestSubmit());
});
