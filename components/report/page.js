// Images are put in place when they come near; the buttons choose the model, the kind of image, the heat layer.
const pictures = JSON.parse(document.getElementById("pictures").textContent);
const place = (image) => image.setAttribute("href", pictures[image.dataset.key]);
const near = new IntersectionObserver((entries) => {
  for (const entry of entries)
    if (entry.isIntersecting) {
      place(entry.target);
      near.unobserve(entry.target);
    }
}, { rootMargin: "600px" });
for (const image of document.querySelectorAll("image[data-key]")) near.observe(image);
addEventListener("beforeprint", () => document.querySelectorAll("image[data-key]").forEach(place));

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
  });
for (const button of document.querySelectorAll("button[data-kind]"))
  button.addEventListener("click", () => {
    press(button);
    show(button.dataset.kind);
  });
for (const button of document.querySelectorAll(".heat-switch"))
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("heat-on", on);
  });
