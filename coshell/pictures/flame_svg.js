// A click on a box takes it for the whole; a click on the lowest row brings back what was before.
const MARGIN = 8, WIDTH = 1200, LETTER_WIDTH = 7.2;
const groups = Array.from(document.querySelectorAll("g.box"));
const told = document.querySelector(".told");
const about = told.textContent;
const fitting = (label, width) => {
  const letters = Math.floor((width - 6) / LETTER_WIDTH);
  if (letters >= label.length) return label;
  return letters >= 4 ? label.slice(0, letters - 1) + "…" : "";
};
const zoom = (chosen) => {
  const from = +chosen.dataset.left, share = +chosen.dataset.width, depth = +chosen.dataset.depth;
  for (const group of groups) {
    const left = +group.dataset.left, width = +group.dataset.width;
    const above = +group.dataset.depth < depth && left <= from + 1e-6 && left + width >= from + share - 1e-6;
    const inside = left >= from - 1e-6 && left + width <= from + share + 1e-6 && +group.dataset.depth >= depth;
    group.style.display = above || inside ? "" : "none";
    const x = above ? 0 : (left - from) / share, w = above ? 1 : width / share;
    const pixels = w * (WIDTH - 2 * MARGIN), start = MARGIN + x * (WIDTH - 2 * MARGIN);
    const rect = group.querySelector("rect"), text = group.querySelector("text");
    rect.setAttribute("x", start);
    rect.setAttribute("width", Math.max(pixels, 0.3));
    rect.style.opacity = above ? 0.5 : 1;
    text.setAttribute("x", start + 3);
    text.textContent = fitting(group.dataset.label, pixels);
  }
};
for (const group of groups) {
  group.addEventListener("click", () => zoom(group));
  group.addEventListener("mouseenter", () => { told.textContent = group.querySelector("title").textContent; });
  group.addEventListener("mouseleave", () => { told.textContent = about; });
}
