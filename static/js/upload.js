// A photo's way into the reference preview: choose or drop, progress, Upload failed, Retry.
(() => {
  const form = document.getElementById("create-form");
  const input = document.getElementById("file");
  if (!form || !input) return;
  const LARGEST = 20 * 1024 * 1024; // bytes, as generator/assets/services.py
  const LOST = "The studio did not answer. Check the connection and try again.";
  let allowed = false; // the next click on the field may open the system's chooser
  let last = null; // what Retry sends
  let running = null;

  const send = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail, cancelable: true }));
  const isSignedIn = () => form.dataset.signedIn === "true";
  const preview = () => document.getElementById("reference-preview");
  const isImage = (file) => file.type.startsWith("image/") || /\.(heic|heif|avif)$/i.test(file.name);
  const show = (element) => {
    preview().replaceWith(element);
    htmx.process(element);
  };
  const fail = (words) => {
    const failed = document.getElementById("preview-failed").content.firstElementChild.cloneNode(true);
    failed.querySelector(".preview__words p").textContent = words;
    show(failed);
  };
  const showProgress = (file) => {
    const uploading = document.getElementById("preview-uploading").content.firstElementChild.cloneNode(true);
    const picture = uploading.querySelector("img");
    picture.src = URL.createObjectURL(file);
    picture.addEventListener("error", () => picture.remove()); // HEIC, where the browser cannot
    show(uploading);
    return uploading.querySelector("progress");
  };

  const upload = (file) => {
    last = file;
    if (!isSignedIn()) return send("ask-to-sign-in", { then: () => upload(file) });
    if (!isImage(file)) return fail("The file must be an image.");
    if (file.size > LARGEST) return fail("This file is larger than 20 MB.");
    running?.abort();
    const progress = showProgress(file);
    const body = new FormData();
    body.append("csrfmiddlewaretoken", form.elements.namedItem("csrfmiddlewaretoken").value);
    body.append("file", file);
    running = new XMLHttpRequest();
    running.open("POST", form.dataset.uploadUrl);
    running.setRequestHeader("HX-Request", "true");
    running.upload.addEventListener("progress", (event) => {
      if (event.loaded < event.total) progress.value = (100 * event.loaded) / event.total;
      else progress.removeAttribute("value"); // the studio is reading it
    });
    running.addEventListener("load", (event) => answered(event.target, file));
    running.addEventListener("error", () => fail(LOST));
    running.send(body);
  };
  const answered = (request, file) => {
    const parsed = new DOMParser().parseFromString(request.responseText, "text/html");
    const next = parsed.getElementById("reference-preview");
    if (next) return show(document.adoptNode(next));
    if (request.status === 401) {
      form.dataset.signedIn = "false";
      send("ask-to-sign-in", { then: () => upload(file) });
    }
    fail({ 401: "Please sign in and try again.", 413: "This file is larger than 20 MB.",
           429: "That were many photos. Please wait a little and try again." }[request.status] || LOST);
  };
  const choose = () => {
    document.getElementById("reference-sheet").close();
    if (!isSignedIn()) return send("ask-to-sign-in", { then: choose });
    if (!send("before-upload", { then: choose })) return;
    allowed = true;
    input.click();
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-retry]")) return last ? upload(last) : choose();
    if (event.target.closest("[data-forget]")) {
      running?.abort();
      htmx.ajax("GET", form.dataset.emptyUrl, { target: "#reference-preview", swap: "outerHTML" });
    }
    if (!event.target.closest("[data-choose]")) return;
    if (event.target === input && allowed) { allowed = false; return; }
    event.preventDefault();
    choose();
  });
  input.addEventListener("change", () => {
    if (input.files.length) upload(input.files[0]);
    input.value = ""; // the form itself carries only the stored reference
  });
  form.addEventListener("dragover", (event) => event.preventDefault());
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) upload(event.dataTransfer.files[0]);
  });
})();
