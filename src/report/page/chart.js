// A chart: uPlot in a figure, with a caption, a line that reads it out, keys, and a table.

const charts = [];
let ink = inks();

/**
 * Puts a chart into a figure.
 * `make(width)` gives uPlot's options, its values and the extent of x; `read(index)` says what is at an index, `rest` what is to say otherwise;
 * `rows()` gives the head and the rows of a table; `pick(index)` is called on Enter and on a click.
 */
function chart(id, { title, caption, alt, make, read, rest = "", rows, pick, group }) {
  const figure = document.getElementById(id);
  const readout = el("output", { class: "readout", id: id + "-read", "aria-live": "polite" }, rest);
  const plot = el("div", {
    class: "plot", tabindex: "0", role: "group", "aria-roledescription": "chart",
    "aria-label": `${title}. ${alt}`, "aria-describedby": readout.id,
  });
  const heading = el("figcaption", {}, el("b", {}, title), " ", caption);
  const foot = el("div", { class: "foot" }, readout);
  if (rows) foot.append(table(title, rows));
  figure.replaceChildren(heading, plot, foot);
  const self = { id, plot, readout, group, u: null, at: null };

  self.say = (index) => {
    self.at = index;
    readout.textContent = index === null || index === undefined ? rest : read(index);
  };
  self.draw = (width = plot.clientWidth) => {
    const zoom = self.u && { min: self.u.scales.x.min, max: self.u.scales.x.max };
    if (self.u) self.u.destroy();
    const { options, values, extent } = make(width);
    self.extent = extent;
    const hooks = options.hooks ?? {};
    self.u = new uPlot({
      width, legend: { show: false }, ...options,
      scales: { ...options.scales, x: { time: false, range: (u, min, max) => within(u, extent, min, max) } },
      cursor: {
        y: false, points: { show: false }, drag: { x: true, y: false, dist: 6 },
        ...(group ? { sync: { key: group, scales: ["x", null] } } : {}),
        ...options.cursor,
      },
      hooks: {
        ...hooks,
        setCursor: [(u) => { if (u === self.u) self.say(u.cursor.left < 0 ? null : u.cursor.idx); }],
        setScale: [(u, key) => { if (key === "x" && u === self.u) zoomed(self); }],
      },
    }, values, plot);
    if (zoom && group && self.zoomedIn) self.u.setScale("x", zoom);
  };
  plot.addEventListener("keydown", (event) => keyed(self, event, pick));
  if (pick) plot.addEventListener("click", () => { if (self.at !== null && self.at !== undefined) pick(self.at); });
  charts.push(self);
  return self;
}

/** Moves a chart's cursor by keys. */
function keyed(self, event, pick) {
  const { u } = self;
  if (!u || event.ctrlKey || event.altKey || event.metaKey) return;
  const xs = u.data[0];
  const { min, max } = u.scales.x;
  const first = Math.max(0, xs.findIndex((x) => x >= min));
  let last = xs.length - 1;
  while (last > first && xs[last] > max) last--;
  const large = Math.max(1, Math.round((last - first) / 20));
  const step = event.shiftKey ? large : 1;
  const go = (index) => {
    const to = Math.min(last, Math.max(first, index));
    u.setCursor({ left: u.valToPos(xs[to], "x"), top: u.over.clientHeight / 2 });
    self.say(to);
  };
  const now = self.at;
  const keys = {
    ArrowRight: () => go(now === null || now === undefined ? first : now + step),
    ArrowLeft: () => go(now === null || now === undefined ? last : now - step),
    Home: () => go(first),
    End: () => go(last),
    Escape: () => { u.setCursor({ left: -10, top: -10 }); self.say(null); },
    Enter: () => { if (pick && now !== null && now !== undefined) pick(now); },
    "+": () => zoomBy(self, 0.5),
    "=": () => zoomBy(self, 0.5),
    "-": () => zoomBy(self, 2),
    0: () => unzoom(self),
  };
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act();
}

/** What to show of x: all of the extent when uPlot asks for all of the data, else what was asked for, within it. */
function within(u, extent, min, max) {
  const xs = u.data[0];
  if (xs.length < 2 || (min === xs[0] && max === xs[xs.length - 1])) return extent;
  return [Math.max(min, extent[0]), Math.min(max, extent[1])];
}

function zoomBy(self, factor) {
  const { u } = self;
  const { min, max } = u.scales.x;
  const [low, high] = self.extent;
  const middle = self.at === null || self.at === undefined ? (min + max) / 2 : u.data[0][self.at];
  const half = ((max - min) * factor) / 2;
  u.setScale("x", { min: Math.max(low, middle - half), max: Math.min(high, middle + half) });
}

function unzoom(self) {
  const [min, max] = self.extent;
  self.u.setScale("x", { min, max });
}

let following = false;

/** What one chart of a group shows, all of it show. */
function zoomed(self) {
  const { min, max } = self.u.scales.x;
  const [low, high] = self.extent;
  self.zoomedIn = min > low + (high - low) * 1e-6 || max < high - (high - low) * 1e-6;
  if (!self.group || following) return;
  following = true;
  for (const other of charts) {
    if (other !== self && other.group === self.group && other.u) {
      other.zoomedIn = self.zoomedIn;
      other.u.setScale("x", { min, max });
    }
  }
  following = false;
}

/** A table that is made when somebody opens it. */
function table(title, rows) {
  const inside = el("div", { tabindex: "0", role: "region", "aria-label": title });
  const details = el("details", {}, el("summary", {}, "As a table"), inside);
  details.addEventListener("toggle", () => {
    if (!details.open || inside.firstChild) return;
    const [head, ...body] = rows();
    const line = (cells, name) => el("tr", {}, ...cells.map((cell, at) =>
      el(at === 0 || name === "th" ? "th" : "td", at === 0 && name !== "th" ? { scope: "row" } : name === "th" ? { scope: "col" } : {}, String(cell))));
    inside.append(el("table", {}, el("thead", {}, line(head, "th")), el("tbody", {}, ...body.map((cells) => line(cells, "td")))));
  });
  return details;
}

/** Options that all axes share. */
function axis(more = {}) {
  return {
    stroke: ink.quiet, font: `12px ${ink.font}`, labelFont: `12px ${ink.font}`,
    grid: { show: false }, ticks: { stroke: ink.line, width: 1, size: 4 }, gap: 4, size: 30, ...more,
  };
}

/** Draws in units of the screen, within the chart's area: `draw(context, box, x, y)`. */
function brush(draw) {
  return (u) => {
    const { ctx } = u;
    const ratio = uPlot.pxRatio;
    const box = {
      left: u.bbox.left / ratio, top: u.bbox.top / ratio,
      width: u.bbox.width / ratio, height: u.bbox.height / ratio,
    };
    box.right = box.left + box.width;
    box.bottom = box.top + box.height;
    ctx.save();
    ctx.scale(ratio, ratio);
    ctx.font = `12px ${ink.font}`;
    ctx.textBaseline = "alphabetic";
    ctx.textAlign = "left";
    draw(ctx, box, (value) => u.valToPos(value, "x", true) / ratio, (value) => u.valToPos(value, "y", true) / ratio, u);
    ctx.restore();
  };
}

/** A cross. */
function cross(ctx, x, y, size) {
  ctx.beginPath();
  ctx.moveTo(x - size, y - size);
  ctx.lineTo(x + size, y + size);
  ctx.moveTo(x + size, y - size);
  ctx.lineTo(x - size, y + size);
  ctx.stroke();
}

/** A text on a ground that keeps it readable. */
function label(ctx, text, x, y, color, align = "left") {
  ctx.textAlign = align;
  ctx.lineWidth = 3;
  ctx.lineJoin = "round";
  ctx.strokeStyle = ink.page;
  ctx.strokeText(text, x, y);
  ctx.fillStyle = color;
  ctx.fillText(text, x, y);
}
