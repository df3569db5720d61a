// The whole run: who answered, what went wrong, how fast.

const columns = data.columns;
const grid = columns.grid;
const wide = grid.width / 1e9;
/** Starts of the columns in seconds, and the end of the last. */
const starts = Array.from({ length: grid.count + 1 }, (_, index) => (grid.from + index * grid.width) / 1e9);
/** A list of counts, its last once more for the end of the last column. */
const stepped = (list) => (list.length ? [...list, list[list.length - 1]] : []);
const sum = (list) => list.reduce((total, count) => total + count, 0);
const runRange = () => [starts[0], starts[starts.length - 1]];
const columnName = (index) =>
  `${instant(starts[index], wide)} to ${instant(starts[Math.min(index + 1, grid.count)], wide)}`;

const seconds = (u, values) => values.map((value) => +value.toFixed(6) + " s");
/** Charts under one another have their areas under one another, too. */
const LEFT = 52;
const RIGHT = 34;

/** Flips as lines; as ticks, where lines would be a wall. */
function flipLines(ctx, box, x, middle) {
  const seen = data.lines.map(([at, green]) => [x(at / 1e6), green]).filter(([at]) => at >= box.left && at <= box.right);
  const dense = seen.length > box.width / 14;
  ctx.lineWidth = 1;
  for (const [at, green] of seen) {
    const px = Math.round(at) + 0.5;
    ctx.strokeStyle = dense ? ink.soft : ink.ink;
    ctx.globalAlpha = dense ? 0.8 : 0.55;
    ctx.beginPath();
    if (dense) {
      ctx.moveTo(px, box.top - 5);
      ctx.lineTo(px, box.top - 1);
    } else {
      ctx.moveTo(px, box.top - 5);
      ctx.lineTo(px, box.bottom);
    }
    ctx.stroke();
    if (!dense && middle) {
      // A small arrow that points to the lane of the new color.
      ctx.globalAlpha = 1;
      ctx.fillStyle = green ? ink.greenText : ink.blueText;
      const way = green ? 1 : -1;
      const y = middle;
      ctx.beginPath();
      ctx.moveTo(px - 4, y - 3 * way);
      ctx.lineTo(px + 4, y - 3 * way);
      ctx.lineTo(px, y + 4 * way);
      ctx.fill();
    }
  }
  ctx.globalAlpha = 1;
}

function overTime() {
  const rate = (list, sign) => stepped(list.map((count) => (sign * count) / wide));
  const highest = Math.max(1e-9, ...columns.blue, ...columns.green) / wide;
  chart("over-time", {
    group: "run",
    title: "Answers a second, by the color that served them.",
    caption: `Blue above, green below; lines are flips. Each column is ${span(wide * 1000)}${data.lines.length > grid.count / 2 ? "; flips come so fast that both colors share most of them" : ""}.`,
    alt: `${grouped(sum(columns.blue))} answers by blue, ${grouped(sum(columns.green))} by green, ${many(data.lines.length, "flip")}.`,
    rest: grid.count > 1 ? "Point at it, or use the arrow keys, to read it. Drag to zoom; a double click shows all." : "",
    make: () => ({
      options: {
        height: 250,
        padding: [10, RIGHT, 0, 0],
        scales: { y: { range: [-highest * 1.04, highest * 1.04] } },
        series: [
          {},
          { fill: ink.blue, width: 0, fillTo: () => 0, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
          { fill: ink.green, width: 0, fillTo: () => 0, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
        ],
        axes: [
          axis({ values: seconds }),
          axis({ size: LEFT, values: (u, values) => values.map((value) => grouped(Math.abs(value))), grid: { stroke: ink.grid, width: 1 } }),
        ],
        hooks: {
          draw: [brush((ctx, box, x, y) => {
            const zero = Math.round(y(0)) + 0.5;
            ctx.strokeStyle = ink.line;
            ctx.beginPath();
            ctx.moveTo(box.left, zero);
            ctx.lineTo(box.right, zero);
            ctx.stroke();
            flipLines(ctx, box, x, zero);
            ctx.font = `600 13px ${ink.font}`;
            label(ctx, "blue", box.left + 6, box.top + 14, ink.blueText);
            label(ctx, "green", box.left + 6, box.bottom - 6, ink.greenText);
          })],
        },
      },
      values: [starts, rate(columns.blue, 1), rate(columns.green, -1)],
      extent: runRange(),
    }),
    read: (index) => {
      const at = Math.min(index, grid.count - 1);
      return `${columnName(at)}: ${many(columns.blue[at], "answer")} by blue, ${grouped(columns.green[at])} by green` +
        (columns.stale[at] ? `, ${grouped(columns.stale[at])} stale` : "") +
        (columns.failed[at] + columns.timed_out[at] ? `, ${grouped(columns.failed[at] + columns.timed_out[at])} without an answer` : "") + ".";
    },
    rows: () => [
      ["from", "blue", "green", "stale", "failed", "timed out", "of both, while killed", "p50", "p99", "most"],
      ...columns.blue.map((_, at) => [
        instant(starts[at], wide), grouped(columns.blue[at]), grouped(columns.green[at]), columns.stale[at], columns.failed[at],
        columns.timed_out[at], columns.excused[at], ...[columns.p50, columns.p99, columns.most].map((list) => ms(list[at] === null ? null : list[at] / 1000)),
      ]),
    ],
  });
}

/** The kinds of trouble that occurred, with how to draw each. */
function lanes() {
  const lane = (name, has, list) => ({ name, list, marks: marks.filter(has), total: sum(list) });
  const failing = columns.failed.map((count, at) => count + columns.timed_out[at] - columns.excused[at]);
  return [
    lane("stale", (mark) => mark.stale, columns.stale),
    lane("other", (mark) => mark.other && !mark.stale, columns.other),
    lane("no answer", (mark) => mark.failed, failing),
    lane("while killed", (mark) => !mark.answered && !mark.failed, columns.excused),
  ].filter((lane) => lane.total > 0);
}

function trouble() {
  const shown = lanes();
  const figure = document.getElementById("trouble");
  if (!shown.length) {
    figure.replaceChildren(el("figcaption", {}, "No answer was stale, no request failed or timed out: there is nothing to mark."));
    return;
  }
  const height = 34;
  const drawn = shown.map((lane) => {
    const all = grouped(lane.total);
    return lane.marks.length >= lane.total ? `${all} ${lane.name}` : `${grouped(lane.marks.length)} of ${all} ${lane.name}`;
  });
  const xs = marks.map((mark) => mark.start / 1e6);
  chart("trouble", {
    group: "run",
    title: "What went wrong, one mark each.",
    caption: `Drawn one by one: ${drawn.join(", ")}. The shade behind the marks counts all, column by column.`,
    alt: `${shown.map((lane) => `${grouped(lane.total)} ${lane.name}`).join(", ")}.`,
    make: () => ({
      options: {
        height: height * shown.length + 34,
        padding: [0, RIGHT, 0, 0],
        scales: { y: { range: [0, shown.length] } },
        series: [{}, { paths: () => null, points: { show: false } }],
        axes: [axis({ values: seconds }), axis({ size: LEFT, splits: () => [], values: () => [] })],
        hooks: {
          draw: [brush((ctx, box, x) => {
            shown.forEach((lane, row) => {
              const top = box.top + row * height;
              const middle = top + height - 10;
              const most = Math.max(...lane.list);
              ctx.save();
              ctx.beginPath();
              ctx.rect(box.left, box.top, box.width, box.height);
              ctx.clip();
              ctx.fillStyle = lane.name === "while killed" ? ink.soft : ink.alarm;
              lane.list.forEach((count, at) => {
                if (!count) return;
                const [from, until] = [x(starts[at]), x(starts[at + 1])];
                ctx.globalAlpha = 0.12 + (0.4 * Math.log1p(count)) / Math.log1p(most);
                ctx.fillRect(from, middle - 8, Math.max(1, until - from), 16);
              });
              ctx.globalAlpha = 1;
              ctx.lineWidth = 1.5;
              ctx.strokeStyle = lane.name === "while killed" ? ink.quiet : ink.alarm;
              ctx.fillStyle = ctx.strokeStyle;
              for (const mark of lane.marks) {
                const at = x(mark.start / 1e6);
                if (at < box.left - 5 || at > box.right + 5) continue;
                if (lane.name === "stale") cross(ctx, at, middle, 4);
                else if (lane.name === "other") ctx.strokeRect(at - 3, middle - 3, 6, 6);
                else if (mark.outcome === "failed") { ctx.beginPath(); ctx.arc(at, middle, 3, 0, 7); ctx.fill(); }
                else { ctx.beginPath(); ctx.arc(at, middle, 3, 0, 7); ctx.stroke(); }
              }
              ctx.restore();
              label(ctx, `${lane.name} (${grouped(lane.total)})`, box.left, top + 12, lane.name === "while killed" ? ink.quiet : ink.alarm);
            });
          })],
        },
      },
      values: [xs, xs.map(() => null)],
      extent: runRange(),
    }),
    read: (index) => {
      const mark = marks[index];
      const what = mark.stale ? `stale, served by ${mark.outcome}` : mark.answered ? mark.rules.join(", ") : mark.outcome + (mark.failed ? "" : " while its proxy was killed");
      return `${instant(mark.start / 1e6, 0.0001)}, ${proxyName(mark.proxy)}: ${what}; ${ms((mark.end - mark.start) / 1000)} long; line ${mark.line} of the history (${index + 1} of ${grouped(marks.length)} marks).`;
    },
    rows: () => [
      ["line", "began", "took", "proxy", "outcome", "broke"],
      ...marks.map((mark) => [mark.line, instant(mark.start / 1e6, 0.0001), ms((mark.end - mark.start) / 1000), proxyName(mark.proxy), mark.outcome, mark.rules.join(", ") || "nothing: its proxy was killed"]),
    ],
  });
}

function latency() {
  const measured = columns.most.filter((value) => value !== null);
  if (!measured.length) return;
  const low = Math.max(1, Math.min(...columns.least.filter((value) => value !== null))) / 1000;
  const high = Math.max(...measured) / 1000;
  chart("latency", {
    group: "run",
    title: "Latency.",
    caption: "From when a request was wanted to its answer: median, 99th percentile and most of each column.",
    alt: `From ${span(low)} to ${span(high)}.`,
    make: () => ({
      options: latencyOptions(180, low, high, seconds, (ctx, box, x) => flipLines(ctx, box, x)),
      values: latencyValues(starts, columns, stepped),
      extent: runRange(),
    }),
    read: (index) => {
      const at = Math.min(index, grid.count - 1);
      return `${columnName(at)}: ` + latencyWords(columns, at);
    },
  });
}

const inMs = (value) => (value === null || value === undefined ? null : Math.max(value, 1) / 1000);
const latencyValues = (xs, of, step) => [xs, ...[of.most, of.p99, of.p50].map((list) => step(list.map(inMs)))];
const latencyWords = (of, at) =>
  of.p50[at] === null ? "nothing was answered." : `p50 ${span(of.p50[at] / 1000)}, p99 ${span(of.p99[at] / 1000)}, most ${span(of.most[at] / 1000)}.`;

/** 1, 10, 100, … within a range; 1, 2, 5, 10, … where that would be less than two. */
function decades(low, high) {
  const list = (steps) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const step of steps) found.push(+(step * 10 ** power).toPrecision(6));
    }
    return found.filter((value) => value >= low && value <= high);
  };
  const tens = list([1]);
  return tens.length >= 2 ? tens : list([1, 2, 5]);
}

/** Three lines over a logarithmic axis, named at their ends. */
function latencyOptions(height, low, high, values, before, spanGaps = false) {
  const line = (stroke, width) => ({ stroke, width, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false }, spanGaps });
  return {
    height,
    padding: [12, RIGHT, 0, 0],
    scales: { y: { distr: 3, range: [low / 1.3, high * 1.3] } },
    series: [{}, line(ink.soft, 1), line(ink.quiet, 1), line(ink.text, 2)],
    axes: [
      axis({ values }),
      axis({ size: LEFT, grid: { stroke: ink.grid, width: 1 }, splits: () => decades(low / 1.3, high * 1.3), filter: (u, list) => list, values: (u, list) => list.map(span) }),
    ],
    hooks: {
      drawAxes: [brush((ctx, box, x) => before(ctx, box, x))],
      draw: [brush((ctx, box, x, y, u) => {
        // Each line's name at its end, none over another.
        const names = [];
        for (const [series, name, color] of [[1, "most", ink.quiet], [2, "p99", ink.quiet], [3, "p50", ink.text]]) {
          const list = u.data[series];
          let at = list.length - 1;
          while (at >= 0 && (list[at] === null || u.data[0][at] > u.scales.x.max)) at--;
          if (at >= 0) names.push({ name, color, y: Math.max(y(list[at]) + 4, names.length ? names[names.length - 1].y + 13 : 0) });
        }
        for (const { name, color, y: at } of names) label(ctx, name, box.right + 4, at, color);
      })],
    },
  };
}
