// Choosing a flip: a list, keys, a picture of all of them, and the address.

/** Worst first. */
const flips = data.windows.list;
const several = new Set(flips.map((flip) => flip.proxy)).size > 1;
let chosen = 0;

function flipName(flip) {
  const name = flip.number === null ? `Generation ${flip.generation}` : `Flip ${flip.number}`;
  return flip.proxy !== null && several ? `${name} on ${proxyName(flip.proxy)}` : name;
}

const flipId = (flip) =>
  "flip-" + (flip.number ?? `g${flip.generation}`) + (flip.proxy !== null && several ? `-${flip.proxy}` : "");

const inMilliseconds = (us) => (us === null ? "–" : ms(us / 1000));

function flipWords(flip) {
  const stale = flip.stale ? ` ${many(flip.stale, "stale answer")}.` : " No stale answer.";
  const lost = flip.errors ? ` ${many(flip.errors, "request")} without an answer.` : "";
  return `${flipName(flip)}: shown after ${inMilliseconds(flip.acknowledged)}, first new answer ended after ${inMilliseconds(flip.first_new)}, last old request began after ${inMilliseconds(flip.last_old)}.${stale}${lost}`;
}

function facts(flip) {
  const quantiles = (list) => (list ? list.map((us) => +(us / 1000).toPrecision(3)).join(" / ") + " ms" : "–");
  const list = [
    ["generation", flip.generation],
    ["pushed at", instant(flip.invoked / 1e6)],
    ["shown after", inMilliseconds(flip.acknowledged)],
    ["first new ended after", inMilliseconds(flip.first_new)],
    ["last old began after", inMilliseconds(flip.last_old)],
    ["mixed, certain", inMilliseconds(flip.mixed)],
    ["mixed, at most", inMilliseconds(flip.mixed_at_most)],
    ["largest gap of reads", inMilliseconds(flip.resolution)],
    ["stale answers", grouped(flip.stale), flip.stale > 0],
    ["without an answer", grouped(flip.errors) + (flip.excused ? ` (+${grouped(flip.excused)} while killed)` : ""), flip.errors > 0],
    ["p50 / p99 / p99.9 before", quantiles(flip.before)],
    ["the same during", quantiles(flip.during)],
    ["the same after", quantiles(flip.after)],
  ];
  document.getElementById("flip-facts").replaceChildren(
    ...list.map(([name, value, bad]) => el("div", {}, el("dt", {}, name), el("dd", bad ? { class: "is-bad" } : {}, String(value)))),
  );
}

/** Shows a flip. */
function choose(place, say = true) {
  chosen = (place + flips.length) % flips.length;
  const flip = flips[chosen];
  document.getElementById("flip").value = String(chosen);
  const old = charts.findIndex((other) => other.id === "window");
  const figure = document.getElementById("window");
  const focused = figure.contains(document.activeElement) && document.activeElement.classList.contains("plot");
  const open = figure.querySelector("details")?.open;
  if (old >= 0) {
    charts[old].u?.destroy();
    charts.splice(old, 1);
  }
  const made = chart("window", windowChart(flip));
  made.draw();
  if (open) figure.querySelector("details").open = true;
  if (focused) made.plot.focus();
  facts(flip);
  charts.find((other) => other.id === "all-flips")?.u?.redraw();
  if (say) {
    made.readout.textContent = flipWords(flip);
    history.replaceState(null, "", "#" + flipId(flip));
  }
}

/** The flip that the address names. */
function named() {
  const id = decodeURIComponent(location.hash.slice(1));
  const exact = flips.findIndex((flip) => flipId(flip) === id);
  return exact >= 0 ? exact : flips.findIndex((flip) => `flip-${flip.number}` === id);
}

function chooser() {
  if (!flips.length) {
    document.getElementById("flips").replaceChildren(el("h2", {}, "Each flip, magnified"), el("p", {}, "Nothing was flipped."));
    return;
  }
  const name = (flip, place) => {
    const worse = flip.stale ? `${many(flip.stale, "stale", "stale")}` : flip.errors ? `${many(flip.errors, "error")}` : `last old ${inMilliseconds(flip.last_old)}`;
    return el("option", { value: place }, `${flipName(flip)}, to ${flip.green ? "green" : "blue"}: ${worse}`);
  };
  const select = el("select", { id: "flip", "aria-label": "Flip, worst first" }, ...flips.map(name));
  const previous = el("button", { type: "button", id: "previous" }, "← previous");
  const next = el("button", { type: "button", id: "next" }, "next →");
  const count = data.windows.flips > flips.length ? `the worst ${grouped(flips.length)} of ${grouped(data.windows.flips)}, worst first` : "worst first";
  select.addEventListener("change", () => choose(Number(select.value)));
  previous.addEventListener("click", () => choose(chosen - 1));
  next.addEventListener("click", () => choose(chosen + 1));
  document.getElementById("choose").replaceChildren(select, previous, next, el("span", { class: "note" }, count));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches?.("input, textarea, select")) return;
    if (event.key === "n") choose(chosen + 1);
    if (event.key === "p") choose(chosen - 1);
  });
  addEventListener("hashchange", () => { if (named() >= 0) choose(named(), false); });
  allFlips();
  choose(Math.max(0, named()), named() >= 0);
}

/** Every flip as three dots. */
function allFlips() {
  if (flips.length < 2) return;
  const order = flips.map((flip, place) => ({ flip, place })).sort((one, other) => one.flip.invoked - other.flip.invoked);
  const xs = order.map(({ flip }) => flip.invoked / 1e6);
  const of = (name) => order.map(({ flip }) => (flip[name] === null ? null : flip[name] / 1000));
  const lists = { last_old: of("last_old"), first_new: of("first_new"), acknowledged: of("acknowledged") };
  const values = Object.values(lists).flat().filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...values), Math.max(0.001, ...values)];
  const shapes = [["last_old", "last old began", "open"], ["first_new", "first new ended", "dot"], ["acknowledged", "shown", "dash"]];
  chart("all-flips", {
    title: "Every flip.",
    caption: "Ms from the push until: ○ the last old request began, ● the first new answer ended, – it was shown. Enter or a click magnifies a flip above.",
    alt: `${many(flips.length, "flip")}, from ${ms(low)} to ${ms(high)}.`,
    pick: (index) => choose(order[index].place),
    make: () => ({
      options: {
        height: 190,
        padding: [12, RIGHT, 0, 0],
        scales: { y: { range: [low - (high - low) * 0.05, high * 1.08] } },
        series: [{}, ...shapes.map(() => ({ paths: () => null, points: { show: false } }))],
        axes: [axis({ values: seconds }), axis({ size: LEFT, grid: { stroke: ink.grid, width: 1 }, values: (u, list) => list.map((value) => +value.toFixed(3)) })],
        hooks: {
          draw: [brush((ctx, box, x, y) => {
            order.forEach(({ flip, place }, index) => {
              const at = x(xs[index]);
              if (at < box.left - 1 || at > box.right + 1) return;
              if (place === chosen) {
                ctx.fillStyle = ink.soft;
                ctx.globalAlpha = 0.35;
                ctx.fillRect(at - 5, box.top, 10, box.height);
                ctx.globalAlpha = 1;
              }
              ctx.lineWidth = 1.25;
              for (const [name, , shape] of shapes) {
                const value = lists[name][index];
                if (value === null) continue;
                const color = flip.stale && name === "last_old" ? ink.alarm : ink.ink;
                ctx.strokeStyle = ctx.fillStyle = color;
                ctx.beginPath();
                if (shape === "dash") {
                  ctx.moveTo(at - 4, y(value));
                  ctx.lineTo(at + 4, y(value));
                  ctx.stroke();
                } else {
                  ctx.arc(at, y(value), flips.length > 200 ? 1.8 : 2.6, 0, 7);
                  if (shape === "dot") ctx.fill();
                  else ctx.stroke();
                }
              }
              if (flip.stale) {
                ctx.strokeStyle = ink.alarm;
                cross(ctx, at, Math.max(box.top + 4, y(lists.last_old[index] ?? 0)), 4);
              }
            });
          })],
        },
      },
      values: [xs, ...Object.values(lists)],
      extent: xs[0] === xs[xs.length - 1] ? [xs[0] - 0.5, xs[0] + 0.5] : [xs[0] - (xs[xs.length - 1] - xs[0]) * 0.02, xs[xs.length - 1] + (xs[xs.length - 1] - xs[0]) * 0.02],
    }),
    read: (index) => flipWords(order[index].flip),
    rows: () => [
      ["flip", "to", "pushed at", "shown", "first new", "last old", "stale", "errors"],
      ...order.map(({ flip }) => [flipName(flip), flip.green ? "green" : "blue", instant(flip.invoked / 1e6), ...["acknowledged", "first_new", "last_old"].map((name) => inMilliseconds(flip[name])), grouped(flip.stale), grouped(flip.errors)]),
    ],
  });
}
