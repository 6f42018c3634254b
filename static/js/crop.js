// The crop sheet: the picture moves under a square frame (cropperjs' gestures), the server cuts.
(() => {
  const sheet = document.getElementById("crop-dialog");
  if (!sheet) return;
  const SMALLEST = 128; // px of the original, as generator/assets/faces.py
  const stage = sheet.querySelector("[data-stage]");
  const zoom = sheet.querySelector("[data-zoom]");
  const WAIT = "Please wait for the image upload to finish before cropping.";
  let view = null; // { image, width, height, side, originX, originY, url }
  const between = (low, value, high) => Math.min(Math.max(value, low), Math.max(low, high));
  const scales = () => {
    const least = view.side / Math.min(view.width, view.height);
    return [least, Math.max(least, view.side / SMALLEST)];
  };
  // A matrix [a, 0, 0, a, e, f] scales around the picture's middle, which lies at origin + (e, f).
  const bounded = ([a, , , , e, f]) => {
    const scale = between(scales()[0], a, scales()[1]);
    const middle = (value, origin, length) =>
      between(view.side - (scale * length) / 2, value + origin, (scale * length) / 2) - origin;
    return [scale, 0, 0, scale, middle(e, view.originX, view.width), middle(f, view.originY, view.height)];
  };
  const apply = (matrix) => view.image.$setTransform(bounded(matrix));
  const zoomBy = (factor) => {
    const [a, , , , e, f] = view.image.$getTransform();
    const scale = between(scales()[0], a * factor, scales()[1]);
    const around = (value, origin) => (value + origin - view.side / 2) * (scale / a) + view.side / 2 - origin;
    apply([scale, 0, 0, scale, around(e, view.originX), around(f, view.originY)]);
  };
  const frame = () => {
    const [a, , , , e, f] = view.image.$getTransform();
    const left = view.originX + e - (a * view.width) / 2;
    const top = view.originY + f - (a * view.height) / 2;
    return { x: Math.max(0, -left / a), y: Math.max(0, -top / a), size: view.side / a };
  };
  const showScale = (a) => {
    const [least, most] = scales();
    zoom.value = most > least ? (100 * Math.log(a / least)) / Math.log(most / least) : 0;
  };

  const made = (name, attributes) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const open = async (button) => {
    const data = button.dataset;
    const canvas = made("cropper-canvas", {});
    const image = made("cropper-image", { translatable: "", scalable: "", alt: "The photo you gave", src: data.sourceUrl });
    canvas.append(image, made("cropper-handle", { action: "move", plain: "" }));
    stage.replaceChildren(canvas);
    sheet.showModal();
    await image.$ready();
    await new Promise(requestAnimationFrame);
    const side = stage.clientWidth;
    view = { image, side, width: Number(data.width), height: Number(data.height), url: data.cropUrl };
    image.$setTransform([1, 0, 0, 1, 0, 0]);
    const at = image.getBoundingClientRect();
    const base = canvas.getBoundingClientRect();
    view.originX = at.left + at.width / 2 - base.left;
    view.originY = at.top + at.height / 2 - base.top;
    image.addEventListener("transform", (event) => {
      const wanted = event.detail.matrix;
      const allowed = bounded(wanted);
      if (wanted.some((value, index) => Math.abs(value - allowed[index]) > 0.01)) {
        event.preventDefault();
        image.$setTransform(allowed);
      } else showScale(allowed[0]);
    });
    const scale = side / Number(data.size);
    apply([scale, 0, 0, scale,
           scale * (view.width / 2 - Number(data.x)) - view.originX,
           scale * (view.height / 2 - Number(data.y)) - view.originY]);
    sheet.dataset.ready = "yes";
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-crop]");
    if (button?.dataset.cropUrl) open(button);
    else if (button) document.dispatchEvent(new CustomEvent("create-say", { detail: { words: WAIT } }));
  });
  sheet.querySelector("[data-crop-save]").addEventListener("click", () => {
    if (!view) return;
    htmx.ajax("POST", view.url, { target: "#reference-preview", swap: "outerHTML", values: frame() });
    sheet.close();
  });
  sheet.addEventListener("close", () => { stage.replaceChildren(); view = null; delete sheet.dataset.ready; });
  zoom.addEventListener("input", () => {
    const [least, most] = scales();
    zoomBy((least * (most / least) ** (zoom.value / 100)) / view.image.$getTransform()[0]);
  });
  stage.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [12, 0], ArrowRight: [-12, 0], ArrowUp: [0, 12], ArrowDown: [0, -12] }[event.key];
    const factor = { "+": 1.1, "=": 1.1, "-": 1 / 1.1 }[event.key];
    if (!view || (!step && !factor)) return;
    event.preventDefault();
    if (factor) zoomBy(factor);
    else apply(view.image.$getTransform().map((value, index) => value + (step[index - 4] ?? 0)));
  });
})();
