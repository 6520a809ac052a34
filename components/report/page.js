// Images are put in place when they come near; the buttons choose the model, the kind of image, the heat layer.
const pictures = JSON.parse(document.getElementById("pictures").textContent);
const place = (image) => image.setAttribute("href", pictures[image.dataset.key]);
const waiting = new Set(document.querySelectorAll("image[data-key]"));
const NEAR_PX = 800;
const fill = () => {
  for (const image of waiting) {
    const { width, top, bottom } = image.getBoundingClientRect();
    if (width > 0 && bottom > -NEAR_PX && top < innerHeight + NEAR_PX) {
      place(image);
      waiting.delete(image);
    }
  }
};
let asked = false;
const fillSoon = () => {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    fill();
  });
};
for (const event of ["scroll", "resize"]) addEventListener(event, fillSoon, { passive: true });
addEventListener("beforeprint", () => waiting.forEach(place));

const press = (button) => {
  for (const other of button.parentElement.querySelectorAll("button"))
    other.setAttribute("aria-pressed", String(other === button));
};
const show = (kind) => {
  for (const panel of document.querySelectorAll(".panel")) {
    let shown = 0;
    const cards = panel.querySelectorAll(".card");
    for (const card of cards) {
      card.hidden = kind !== "" && !card.dataset.kinds.split(" ").includes(kind);
      shown += card.hidden ? 0 : 1;
    }
    const all = panel.firstElementChild.textContent.split(" of ").pop();
    panel.firstElementChild.textContent = `${shown} of ${all}`;
  }
};
for (const button of document.querySelectorAll("button[data-model]"))
  button.addEventListener("click", () => {
    press(button);
    for (const panel of document.querySelectorAll(".panel")) panel.hidden = panel.dataset.model !== button.dataset.model;
    fill();
  });
for (const button of document.querySelectorAll("button[data-kind]"))
  button.addEventListener("click", () => {
    press(button);
    show(button.dataset.kind);
    fill();
  });
for (const button of document.querySelectorAll(".heat-switch"))
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("heat-on", on);
  });
fill();
