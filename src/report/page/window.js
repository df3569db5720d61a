// The window of one flip: single requests as bars from start to end, blue above, green below.

const BAR = 3;
const STEP = 5;

/** The requests of a window in ms from its push, with what is marked among them. */
function aroundFlip(flip) {
  const requests = [];
  let at = flip.from;
  for (let index = 0; index < flip.requests.length; index += 4) {
    at += flip.requests[index] * flip.unit;
    requests.push({ start: at, end: at + flip.requests[index + 1] * flip.unit, proxy: flip.requests[index + 2], ...decode(flip.requests[index + 3]) });
  }
  // Those that broke a rule are in the marks, each with its line, as long as there are not too many of them; the sample may hold
  // the same, and others.
  const marked = marks.filter((mark) => mark.end >= flip.from && mark.start <= flip.until && (flip.proxy === null || mark.proxy === flip.proxy));
  const place = ({ start, proxy }) => `${Math.max(0, Math.floor((start - flip.from) / flip.unit))} ${proxy}`;
  const known = new Set(marked.map(place));
  const plain = requests.filter((request) => !(request.stale || request.other) || !known.has(place(request)));
  const all = [...plain, ...marked].map((request) => ({
    ...request,
    left: (Math.max(request.start, flip.from) - flip.invoked) / 1000,
    right: (Math.min(request.end, flip.until) - flip.invoked) / 1000,
    early: request.start <= flip.from,
    late: request.end >= flip.until,
  }));
  all.sort((one, other) => one.left - other.left);
  return all;
}

/** Gives each bar of a lane the first row in which it touches no other. */
function stack(bars) {
  const ends = [];
  for (const bar of bars) {
    let row = ends.findIndex((end) => end < bar.left);
    if (row < 0) row = ends.length;
    ends[row] = bar.right;
    bar.row = row;
  }
  return ends.length;
}

/** The instants of a flip that have a line, in ms from its push. */
function landmarks(flip) {
  const at = (us) => (us === null ? null : us / 1000);
  return [
    { at: 0, name: "push", strong: true },
    { at: at(flip.last_old), name: "last old began" },
    { at: at(flip.first_new), name: "first new ended" },
    { at: at(flip.acknowledged), name: "shown", strong: true },
  ].filter((mark) => mark.at !== null && mark.at >= (flip.from - flip.invoked) / 1000 && mark.at <= (flip.until - flip.invoked) / 1000);
}

function windowChart(flip) {
  const all = aroundFlip(flip);
  const blue = all.filter((bar) => bar.answered && !bar.green);
  const green = all.filter((bar) => bar.green);
  const none = all.filter((bar) => !bar.answered);
  const heights = [blue, green, none].map((lane) => Math.min(34, stack(lane)));
  const [above, below, between] = [Math.max(8, heights[0]) * STEP + 16, Math.max(8, heights[1]) * STEP + 16, none.length ? Math.min(10, heights[2]) * STEP + 14 : 8];
  const lines = landmarks(flip);
  const range = [(flip.from - flip.invoked) / 1000, (flip.until - flip.invoked) / 1000];
  const total = flip.answers[0] + flip.answers[1];
  const answered = blue.length + green.length;
  const share = answered >= total ? `All ${many(total, "answer")} of this window are drawn` : `${grouped(answered)} of the ${grouped(total)} answers of this window are drawn, evenly chosen`;
  const stale = all.filter((bar) => bar.stale).length;
  const worse = !flip.stale ? "" : stale >= flip.stale ? " ✕ marks a stale one." : ` ✕ marks a stale one: ${grouped(stale)} of the ${grouped(flip.stale)} that this flip convicts are here.`;
  return {
    title: `${flipName(flip)}, to ${flip.green ? "green" : "blue"}.`,
    caption: `One bar a request, from its start to its end, over ms from the push. ${share}.${worse}`,
    alt: `${flipWords(flip)} Answers in the window: ${grouped(flip.answers[0])} by blue, ${grouped(flip.answers[1])} by green.`,
    rest: all.length ? "" : "No request was under way around this flip.",
    make: (width) => {
      const rows = labelRows(lines, range, width);
      const head = rows * 15 + 8;
      return {
        options: {
          height: above + below + between + head + 34,
          padding: [head, RIGHT, 0, RIGHT],
          scales: { y: { range: [0, 1] } },
          series: [{}, { paths: () => null, points: { show: false } }],
          axes: [axis({ values: (u, values) => values.map((value) => +value.toFixed(4) + " ms") }), axis({ show: false })],
          hooks: { draw: [brush((ctx, box, x) => drawWindow(ctx, box, x, { flip, blue, green, none, above, between, lines }))] },
        },
        values: [all.map((bar) => bar.left), all.map(() => null)],
        extent: range,
      };
    },
    read: (index) => {
      const bar = all[index];
      const what = bar.answered ? `answered by ${bar.outcome}` : bar.outcome;
      const broke = bar.rules.length ? `, ${bar.rules.join(" and ")}${bar.line ? `, line ${bar.line} of the history` : ""}` : "";
      return `${bar.early ? "before " : ""}${ms(bar.left)} to ${bar.late ? "after " : ""}${ms(bar.right)}, ${proxyName(bar.proxy)}: ${what}${bar.overridden ? " by override" : ""}${broke} (${index + 1} of ${all.length} drawn).`;
    },
    rows: () => [
      ["began", "ended", "proxy", "outcome", "broke"],
      ...all.map((bar) => [ms(bar.left), ms(bar.right), proxyName(bar.proxy), bar.outcome + (bar.overridden ? " by override" : ""), bar.rules.join(", ")]),
    ],
  };
}

/** Gives each line's name a row in which it touches no other; says how many rows. */
function labelRows(lines, [from, until], width) {
  const scale = (width - 2 * RIGHT) / Math.max(1e-9, until - from);
  const placed = [];
  // From the right: a name that reaches over later lines stands above their names, where those lines have ended.
  for (const mark of [...lines].sort((one, other) => other.at - one.at)) {
    mark.wide = lineName(mark).length * 6.6 + 10;
    mark.left = Math.min((mark.at - from) * scale, width - 2 * RIGHT - mark.wide);
    const reach = mark.left + mark.wide;
    const over = placed.filter((other) => other.left < reach || (other.at - from) * scale < reach);
    mark.row = Math.max(-1, ...over.map((other) => other.row)) + 1;
    placed.push(mark);
  }
  return Math.max(0, ...lines.map((mark) => mark.row + 1));
}

const lineName = (mark) => (mark.at === 0 ? mark.name : `${mark.name} ${ms(mark.at)}`);

function drawWindow(ctx, box, x, { flip, blue, green, none, above, between, lines }) {
  const zero = box.top + above;
  const floor = zero + between;
  if (flip.mixed > 0) {
    const from = x(flip.first_new / 1000);
    ctx.fillStyle = ink.alarmWash;
    ctx.fillRect(from, box.top, Math.min(box.right, x(flip.last_old / 1000)) - from, box.height);
  }
  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left, box.top, box.width, box.height);
  ctx.clip();
  const draw = (bar, top, color) => {
    const left = x(bar.left);
    const wide = Math.max(1.5, x(bar.right) - left);
    const bad = bar.stale || bar.other;
    ctx.fillStyle = bad ? ink.alarm : color;
    ctx.globalAlpha = bar.overridden ? 0.4 : 1;
    ctx.fillRect(left, top, wide, BAR);
    ctx.globalAlpha = 1;
    if (bad) {
      ctx.strokeStyle = ink.alarm;
      ctx.lineWidth = 1.75;
      cross(ctx, left, top + BAR / 2, 4);
    }
  };
  const bad = (bar) => bar.stale || bar.other;
  for (const later of [false, true]) {
    for (const bar of blue) if (bad(bar) === later) draw(bar, zero - 6 - (bar.row % 34) * STEP, ink.blue);
    for (const bar of green) if (bad(bar) === later) draw(bar, floor + 4 + (bar.row % 34) * STEP, ink.green);
  }
  for (const bar of none) {
    const y = zero + 8 + (bar.row % 10) * STEP;
    ctx.fillStyle = bar.failed ? ink.alarm : ink.soft;
    ctx.fillRect(x(bar.left), y - 1, Math.max(1.5, x(bar.right) - x(bar.left)), 1.5);
    ctx.beginPath();
    ctx.arc(x(bar.right), y, 2.5, 0, 7);
    ctx.fill();
  }
  ctx.restore();
  ctx.lineWidth = 1;
  ctx.strokeStyle = ink.line;
  for (const y of none.length ? [zero, floor] : [zero + between / 2]) {
    ctx.beginPath();
    ctx.moveTo(box.left, Math.round(y) + 0.5);
    ctx.lineTo(box.right, Math.round(y) + 0.5);
    ctx.stroke();
  }
  for (const mark of lines) {
    const at = Math.round(x(mark.at)) + 0.5;
    if (at < box.left - 1 || at > box.right + 1) continue;
    const top = box.top - 6 - mark.row * 15;
    ctx.strokeStyle = ink.text;
    ctx.lineWidth = 1;
    ctx.setLineDash(mark.strong ? [] : [3, 3]);
    ctx.beginPath();
    ctx.moveTo(at, top - 9);
    ctx.lineTo(at, box.bottom);
    ctx.stroke();
    ctx.setLineDash([]);
    const flipped = at + mark.wide > box.right;
    label(ctx, lineName(mark), flipped ? box.right : at + 4, top, ink.text, flipped ? "right" : "left");
  }
  if (flip.mixed > 0) label(ctx, `mixed ${ms(flip.mixed / 1000)}`, Math.min(x(flip.last_old / 1000) + 4, box.right - 90), box.bottom - 5, ink.alarm);
  ctx.font = `600 13px ${ink.font}`;
  label(ctx, "blue", box.left + 2, box.top + 12, ink.blueText);
  label(ctx, "green", box.left + 2, box.bottom - 5, ink.greenText);
  if (none.length) {
    ctx.font = `12px ${ink.font}`;
    label(ctx, "no answer", box.left + 2, zero + 12, ink.quiet);
  }
}
