// The frame in which people are placed: a box for each, moved and resized by pointer or by keys.
const LEAST = { width: 0.15, height: 0.25 }; // of the picture: a finger still hits it on a phone
const STEP = 0.02;
const KEYS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
const between = (low, value, high) => Math.round(Math.min(Math.max(value, low), Math.max(low, high)) * 1000) / 1000;
const moved = (box, across, down) => ({
  ...box, x: between(0, box.x + across, 1 - box.width), y: between(0, box.y + down, 1 - box.height),
});
const resized = (box, across, down) => ({
  ...box,
  width: between(Math.min(LEAST.width, box.width), box.width + across, 1 - box.x),
  height: between(Math.min(LEAST.height, box.height), box.height + down, 1 - box.y),
});

let shown = []; // { id, name, face, box, element }
let tell = () => {};
let drag = null; // { one, act, from, x, y }

const lay = ({ element, box }) => {
  const sides = { left: box.x, top: box.y, width: box.width, height: box.height };
  for (const [side, part] of Object.entries(sides)) element.style[side] = `${part * 100}%`;
};
const put = (one, box) => {
  one.box = box;
  lay(one);
  tell(shown.map(({ id, box }) => ({ id, box })));
};
const say = ({ name, box, element }) => {
  const [x, y, width, height] = ["x", "y", "width", "height"].map((side) => `${Math.round(box[side] * 100)}%`);
  element.closest("[data-places]").querySelector("[data-said]").textContent = `${name}: ${x} from the left, ${y} from the top, ${width} wide, ${height} high`;
};
const made = ({ id, name, face }) => {
  const element = document.createElement("button");
  Object.assign(element, { type: "button", className: "place" });
  element.dataset.person = id;
  element.setAttribute("aria-describedby", "places-keys");
  const title = document.createElement("span");
  Object.assign(title, { className: "place__name truncate", textContent: name });
  const handle = document.createElement("span");
  handle.className = "place__size";
  handle.setAttribute("aria-hidden", "true");
  const picture = document.createElement("img");
  Object.assign(picture, { alt: "", draggable: false, src: face ?? "" });
  element.append(...(face ? [picture] : []), title, handle);
  return element;
};
const of = (target) => shown.find(({ element }) => element === target.closest?.(".place"));

// `people`: { id, name, face, box } in the prompt's order; `onPlaced` is told all of their boxes.
export const show = (part, people, ratio, onPlaced) => {
  const frame = part.querySelector("[data-frame]");
  frame.style.setProperty("--ratio", ratio);
  tell = onPlaced;
  const known = (id) => shown.find((one) => one.id === id && frame.contains(one.element))?.element;
  shown = people.map((one) => ({ ...one, element: known(one.id) ?? made(one) }));
  for (const child of [...frame.children]) if (!shown.some(({ element }) => element === child)) child.remove();
  for (const one of shown) {
    if (!frame.contains(one.element)) frame.append(one.element);
    lay(one);
  }
  if (drag) drag = frame.contains(drag.one.element) ? { ...drag, one: of(drag.one.element) } : null;
};

document.addEventListener("pointerdown", (event) => {
  const one = event.button === 0 && of(event.target);
  if (!one) return;
  const act = event.target.closest(".place__size") ? resized : moved;
  drag = { one, act, from: one.box, x: event.clientX, y: event.clientY };
  one.element.setPointerCapture(event.pointerId);
  one.element.focus({ preventScroll: true }); // Safari gives a button none; it lies on top then
});
document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const { width, height } = drag.one.element.parentElement.getBoundingClientRect();
  put(drag.one, drag.act(drag.from, (event.clientX - drag.x) / width, (event.clientY - drag.y) / height));
});
for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => {
  if (drag) say(drag.one);
  drag = null;
});
document.addEventListener("keydown", (event) => {
  const one = of(event.target), step = KEYS[event.key];
  if (!one || !step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  put(one, (event.shiftKey ? resized : moved)(one.box, ...step));
  say(of(event.target));
});
