// What things look like: colors from the style sheet, numbers and instants for people.

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;

/** The colors of now: light or dark, and light on paper. */
function inks() {
  const style = getComputedStyle(root);
  const ink = {};
  for (const name of ["page", "text", "quiet", "line", "grid", "wash", "blue", "green", "alarm", "ink", "soft"]) {
    ink[name] = style.getPropertyValue("--" + name).trim();
  }
  ink.blueText = style.getPropertyValue("--blue-text").trim();
  ink.greenText = style.getPropertyValue("--green-text").trim();
  ink.alarmWash = style.getPropertyValue("--alarm-wash").trim();
  ink.font = getComputedStyle(document.body).fontFamily;
  return ink;
}

/** An element with its text, which is never read as HTML. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const many = (count, noun, more = noun + "s") => `${count.toLocaleString("en-US")} ${count === 1 ? noun : more}`;
const grouped = (count) => count.toLocaleString("en-US");

/** A duration in milliseconds, in about three digits. */
function ms(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size === 0 ? 0 : 3;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }) + " ms";
}

/** An instant of the run, from seconds, as fine as a step between two. */
function instant(seconds, step = 0.001) {
  const digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  return seconds.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }) + " s";
}

/** A latency in the unit that suits it, from milliseconds. */
function span(value) {
  if (value >= 1000) return +(value / 1000).toPrecision(3) + " s";
  if (value >= 1) return +value.toPrecision(3) + " ms";
  return +(value * 1000).toPrecision(3) + " µs";
}

const OUTCOMES = ["blue", "green", "failed", "timed out"];
const RULES = ["unpushed", "early", "stale", "recolored", "misrouted", "redecided", "undecided", "failed"];

/** What a request's number says: see `code` in scene.rs. */
function decode(code) {
  const rules = code >> 4;
  return {
    outcome: OUTCOMES[code & 3],
    answered: (code & 3) < 2,
    green: (code & 3) === 1,
    overridden: (code & 4) !== 0,
    stale: (rules & 4) !== 0,
    failed: (rules & 128) !== 0,
    other: (rules & ~(4 | 128)) !== 0,
    rules: RULES.filter((_, bit) => rules & (1 << bit)),
  };
}

const proxyName = (index) => data.proxies[index] ?? `proxy ${index}`;

/** Requests that are shown one by one, with their instants made whole again. */
const marks = (() => {
  let at = 0;
  return data.marks.list.map(([step, duration, proxy, code, line]) => {
    at += step;
    return { start: at, end: at + duration, proxy, line, ...decode(code) };
  });
})();
