// Draws everything, and again when the look changes: dark or light, wide or narrow, on paper.

if (grid.count) {
  overTime();
  trouble();
  latency();
} else {
  document.getElementById("over-time").replaceChildren(el("figcaption", {}, "No request was made."));
}
proxies();
laid();

function redraw(width) {
  ink = inks();
  for (const each of charts) each.draw(width);
}

chooser();
redraw();
root.dataset.drawn = String(Math.round(performance.now()));

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

let wideNow = document.querySelector("main").clientWidth;
let waiting = 0;
new ResizeObserver(() => {
  const now = document.querySelector("main").clientWidth;
  if (now === wideNow || root.dataset.ink) return;
  wideNow = now;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => redraw());
}).observe(document.querySelector("main"));

addEventListener("beforeprint", () => {
  root.dataset.ink = "light";
  redraw(660);
});
addEventListener("afterprint", () => {
  delete root.dataset.ink;
  redraw();
});
