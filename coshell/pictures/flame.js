// A click on a box takes it for the whole; a click on a box above it goes back there.
for (const flame of document.querySelectorAll(".flame")) {
  const told = flame.querySelector(".told");
  const boxes = Array.from(flame.querySelectorAll(".box"));
  const zoom = (chosen) => {
    const from = +chosen.dataset.left, share = +chosen.dataset.width, depth = +chosen.dataset.depth;
    for (const box of boxes) {
      const left = +box.dataset.left, width = +box.dataset.width;
      const above = +box.dataset.depth < depth && left <= from + 1e-6 && left + width >= from + share - 1e-6;
      const inside = left >= from - 1e-6 && left + width <= from + share + 1e-6 && +box.dataset.depth >= depth;
      box.hidden = !(above || inside);
      box.classList.toggle("above", above);
      box.style.left = `${above ? 0 : (100 * (left - from)) / share}%`;
      box.style.width = `${above ? 100 : (100 * width) / share}%`;
    }
  };
  for (const box of boxes) {
    box.addEventListener("click", () => { zoom(box); told.textContent = box.title; });
    box.addEventListener("mouseenter", () => { told.textContent = box.title; });
  }
}
