// A form with data-changed: its submit button works only while something differs from the start.
// data-dirty: it came back with a refusal, so what stands there is not what is stored.
(() => {
  const read = (form) => {
    const values = new FormData(form);
    values.delete("csrfmiddlewaretoken");
    return JSON.stringify([...values].map(([name, value]) => [name, String(value).trim()]));
  };
  const watch = (form) => {
    if (form.dataset.watched) return;
    form.dataset.watched = "";
    const before = "dirty" in form.dataset ? null : read(form);
    const button = form.querySelector("[type=submit]");
    const look = () => { button.disabled = read(form) === before; };
    form.addEventListener("input", look);
    form.addEventListener("change", look);
    look();
  };
  const scan = () => document.querySelectorAll("form[data-changed]").forEach(watch);
  scan();
  document.addEventListener("dialog-opened", scan);
})();
