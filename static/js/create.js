// The create form: who is here, what is still missing, and what happens after the tap.
// Other scripts of the page send "ask-to-sign-in" {then} and "create-say" {words} to document.
(() => {
  const form = document.getElementById("create-form");
  if (!form) return;
  const dialog = document.getElementById("dialog");
  const status = document.getElementById("create-status");
  const button = document.getElementById("create-button");
  const name = form.elements.namedItem("name");
  const isPublic = form.elements.namedItem("is_public");
  const INITIALIZING = "Initializing model creation…";
  const isNamed = () => /[^\p{Cf}\p{Mn}\p{Me}\p{Z}]/u.test(name.value);
  let afterSignIn = null;

  const isSignedIn = () => form.dataset.signedIn === "true";
  const say = (words, tone = "bad") => {
    const line = document.createElement("p");
    line.className = `callout callout--${tone}`;
    line.textContent = words;
    status.replaceChildren(line);
  };
  const missing = () => {
    if (document.readyState !== "complete" || !window.htmx) return "The page is not initialized yet.";
    if (!isNamed()) return "Please enter the name for your model.";
    const count = Number(name.dataset.counted); // by counting.js
    if (count > 32) return `The name may have at most 32 characters; this has ${count}.`;
    if (!form.elements.namedItem("reference")) return "Please provide an image for creating your model.";
    const isPhoto = form.querySelector("#reference-preview[data-shows=photo]");
    if (isPhoto && !form.elements.namedItem("consent").value) return "Please say who is in this photo.";
    return "";
  };
  const refresh = () => {
    button.setAttribute("aria-disabled", String(!isSignedIn() || missing() !== ""));
  };
  const askToSignIn = (then) => {
    afterSignIn = then;
    htmx.ajax("GET", form.dataset.signInUrl, { target: "#dialog", swap: "innerHTML" });
  };

  form.addEventListener("input", (event) => {
    refresh();
    const isText = event.target.matches("textarea, [type=text]");
    if (isText && !isSignedIn() && !dialog.open) askToSignIn(() => event.target.focus());
  });
  // In the capturing phase of the document: before htmx hears of it.
  document.addEventListener("submit", (event) => {
    if (event.target !== form) return;
    const words = missing();
    const isWaiting = words.startsWith("The page");
    if (!isWaiting && isSignedIn() && !words && !form.dataset.busy) {
      form.dataset.busy = "yes";
      say(INITIALIZING, "accent");
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (form.dataset.busy) return;
    if (!isWaiting && !isSignedIn()) return askToSignIn(() => form.requestSubmit());
    say(words);
    if (!isNamed()) name.focus();
    else if (words.startsWith("Please say")) form.querySelector(".consent input").focus();
  }, true);
  document.addEventListener("htmx:finally:request", (event) => {
    if (event.detail.ctx?.sourceElement !== form) return;
    const next = status.querySelector("[data-continue]");
    if (next) return setTimeout(() => location.assign(next.dataset.continue), 1400);
    delete form.dataset.busy;
    if (status.textContent.trim() === INITIALIZING) status.replaceChildren();
  });
  isPublic.addEventListener("change", () => {
    if (isPublic.checked) return;
    const ask = () => {
      const typed = Object.fromEntries([...new FormData(form)].filter(([, value]) => typeof value === "string"));
      htmx.ajax("POST", form.dataset.privateUrl, { target: "#dialog", swap: "innerHTML", values: typed });
    };
    if (isSignedIn()) return ask();
    isPublic.checked = true;
    askToSignIn(() => { isPublic.checked = false; ask(); });
  });
  document.addEventListener("stay-public", () => { isPublic.checked = true; });
  document.addEventListener("ask-to-sign-in", (event) => askToSignIn(event.detail.then));
  document.addEventListener("create-say", (event) => say(event.detail.words, event.detail.tone));
  document.addEventListener("signed-in", () => {
    form.dataset.signedIn = "true";
    refresh();
    const then = afterSignIn;
    afterSignIn = null;
    if (then) setTimeout(then); // after the dialog has closed
  });
  window.addEventListener("load", refresh);
  window.addEventListener("pageshow", () => { delete form.dataset.busy; refresh(); });
  new MutationObserver(refresh).observe(form.querySelector(".create__reference"), { childList: true, subtree: true });
  refresh();
})();
