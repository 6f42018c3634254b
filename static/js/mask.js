// A mask over the picture to edit: what is painted may change. Goes up as a picture of its own.
(() => {
  let sheet = null;
  const open = (button) => {
    sheet = document.createElement("dialog");
    sheet.className = "dialog mask";
    sheet.setAttribute("aria-label", "Paint what may change");
    const body = document.getElementById("mask-sheet").content.cloneNode(true);
    sheet.append(body);
    document.body.append(sheet);
    const canvas = sheet.querySelector("canvas"), picture = sheet.querySelector("img");
    const brush = canvas.getContext("2d");
    picture.addEventListener("load", () => {
      [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
      sheet.showModal();
    });
    picture.src = button.dataset.large;
    let isDown = false;
    const dab = (event) => {
      const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
      const size = Number(sheet.querySelector("[data-size]").value) * canvas.width / 100;
      brush.fillStyle = "#fff";
      brush.beginPath();
      brush.arc((event.clientX - box.left) * scale, (event.clientY - box.top) * scale, size / 2, 0, 7);
      brush.fill();
    };
    canvas.addEventListener("pointerdown", (event) => { isDown = true; canvas.setPointerCapture(event.pointerId); dab(event); });
    canvas.addEventListener("pointermove", (event) => { if (isDown) dab(event); });
    canvas.addEventListener("pointerup", () => { isDown = false; });
    sheet.addEventListener("close", () => sheet.remove());
    sheet.querySelector("[data-again]").addEventListener("click", () => brush.clearRect(0, 0, canvas.width, canvas.height));
    sheet.querySelector("[data-cancel]").addEventListener("click", () => sheet.close());
    sheet.querySelector("[data-done]").addEventListener("click", () => send(canvas, button.dataset.upload));
  };
  const send = (canvas, address) => {
    const whole = document.createElement("canvas");
    [whole.width, whole.height] = [Math.max(256, canvas.width), Math.max(256, canvas.height)];
    const paint = whole.getContext("2d");
    paint.fillStyle = "#000";
    paint.fillRect(0, 0, whole.width, whole.height);
    paint.drawImage(canvas, 0, 0, whole.width, whole.height);
    whole.toBlob(async (blob) => {
      const body = new FormData();
      body.append("csrfmiddlewaretoken", document.querySelector("#composer [name=csrfmiddlewaretoken]").value);
      body.append("file", blob, "mask.png");
      const answer = await fetch(address, { method: "POST", headers: { "HX-Request": "true" }, body });
      const slot = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("slot-mask");
      if (answer.ok && slot) {
        document.getElementById("slot-mask").replaceWith(document.adoptNode(slot));
        htmx.process(document.getElementById("slot-mask"));
      }
      sheet.close();
    });
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-paint]");
    if (button) open(button);
  });
})();
