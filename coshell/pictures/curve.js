// Pointing at a curve tells what was so at that moment.
const UNITS = ["", "K", "M", "G", "T"];
const size = (bytes) => {
  let unit = 0;
  for (; Math.abs(bytes) >= 1024 && unit < 4; unit += 1) bytes /= 1024;
  return unit ? bytes.toFixed(1) + UNITS[unit] : String(bytes);
};
for (const curve of document.querySelectorAll(".curve")) {
  const area = curve.querySelector(".area"), told = curve.querySelector(".told"), usual = told.textContent;
  const points = area.dataset.points.split(";").map((pair) => pair.split(",").map(Number));
  const first = +area.dataset.first, last = +area.dataset.last;
  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    const at = first + ((last - first) * (event.clientX - box.left)) / box.width;
    let near = points[0];
    for (const point of points) if (Math.abs(point[0] - at) < Math.abs(near[0] - at)) near = point;
    const value = area.dataset.kind === "heap" ? size(near[1]) : near[1].toLocaleString("en");
    told.textContent = `${value} at ${(near[0] - first).toFixed(2)}s`;
  });
  area.addEventListener("pointerleave", () => { told.textContent = usual; });
}
