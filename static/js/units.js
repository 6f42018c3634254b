// Readouts of sliders in the person's units, and the cost beside Generate.
(() => {
  const feet = (cm) => {
    const inches = Math.round(cm / 2.54);
    return `${Math.floor(inches / 12)}′ ${inches % 12}″`;
  };
  const READOUTS = {
    age: (value) => `${value} years`,
    height: (value, imperial) => (imperial ? feet(value) : `${value} cm`),
    weight: (value, imperial) => (imperial ? `${Math.round(value * 2.20462)} lb` : `${value} kg`),
  };

  const refresh = () => {
    const imperial = document.querySelector("[data-units] input:checked")?.value === "imperial";
    for (const slider of document.querySelectorAll("[data-unit]")) {
      const words = READOUTS[slider.dataset.unit](Number(slider.value), imperial);
      const readout = document.querySelector(`[data-readout="${slider.id}"]`);
      if (readout) readout.textContent = words;
      slider.setAttribute("aria-valuetext", words);
    }
    for (const select of document.querySelectorAll("[data-cost]")) {
      const total = select.value * select.dataset.cost;
      select.form.querySelector("[data-total]").textContent = `${total} credit${total === 1 ? "" : "s"}`;
    }
  };
  document.addEventListener("input", refresh);
  document.addEventListener("change", (event) => {
    const field = event.target.closest("[data-units]");
    if (!field) return;
    refresh();
    // The server keeps the choice: with the account, or in a cookie.
    htmx.ajax("POST", field.closest("form").dataset.formUrl, { swap: "none", values: { units: event.target.value, remember: 1 } });
  });
  document.addEventListener("htmx:after:swap", refresh);
  refresh();
})();
