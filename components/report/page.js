// Shows the gallery of one model at a time.
for (const button of document.querySelectorAll("button[data-model]")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("button[data-model]"))
      other.setAttribute("aria-pressed", String(other === button));
    for (const gallery of document.querySelectorAll(".gallery"))
      gallery.hidden = gallery.dataset.model !== button.dataset.model;
  });
}
