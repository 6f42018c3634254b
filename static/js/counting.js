// How many characters a field holds, beside its label: [data-count-for=<id>][data-max].
// One rule everywhere, generator/portraits/names.py: direction marks dropped, NFC, strip, then
// code points. The count is left at the field as data-counted for whoever decides by it.
(() => {
  const DIRECTION_MARKS = /[\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]/g;
  // What Python strips: JavaScript's own trim() knows neither the separators nor U+0085.
  const ENDS = /^[\s\x1c-\x1f\x85]+|[\s\x1c-\x1f\x85]+$/g;
  const counted = (text) =>
    [...text.replace(/\r\n?/g, "\n").replace(DIRECTION_MARKS, "").normalize("NFC").replace(ENDS, "")].length;

  const show = (counter) => {
    const field = document.getElementById(counter.dataset.countFor);
    if (!field) return;
    field.dataset.counted = counted(field.value);
    counter.textContent = `${field.dataset.counted}/${counter.dataset.max}`;
    counter.toggleAttribute("data-over", Number(field.dataset.counted) > Number(counter.dataset.max));
  };
  const scan = () => document.querySelectorAll("[data-count-for]").forEach(show);
  document.addEventListener("input", (event) => {
    const counter = event.target.id && document.querySelector(`[data-count-for="${CSS.escape(event.target.id)}"]`);
    if (counter) show(counter);
  }, true); // before the listeners of the form
  document.addEventListener("dialog-opened", scan);
  window.addEventListener("pageshow", scan);
  scan();
})();
