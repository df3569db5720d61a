// The page of `--report`, opened in a real browser. Run by `scripts/test pictures`, which names the tool in CUTOVER and the
// browser in CHROMIUM.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Browser } from "./browser.mjs";
import { history } from "./history.mjs";

const { CUTOVER, CHROMIUM } = process.env;
assert.ok(CUTOVER && CHROMIUM, "CUTOVER and CHROMIUM name the tool and the browser");
const folder = mkdtempSync(join(tmpdir(), "cutover-pictures-"));
let browser;
before(() => { browser = new Browser(CHROMIUM); });
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Draws a run; gives the page's path and the certificate. */
function drawn(name, run) {
  const file = join(folder, `${name}.jsonl`);
  writeFileSync(file, history(run));
  const { stdout, stderr } = spawnSync(CUTOVER, ["check", file, "--report", join(folder, name), "-o", "json"], { encoding: "utf8", maxBuffer: 1 << 28 });
  assert.ok(stdout, stderr);
  const certificate = JSON.parse(stdout);
  assert.equal(certificate.report_file, join(folder, name, "report.html"));
  return { path: certificate.report_file, certificate };
}

const HELD = drawn("held", { weather: true });
const VIOLATED = drawn("violated", { stale: 6, failed: 3 });
const INCONCLUSIVE = drawn("inconclusive", { requests: 12 });

/** Opens a page, and sees to it that it drew itself, complained of nothing and asked nobody. */
async function opened(path, options = {}, hash = "") {
  const page = await browser.open(`file://${path}${hash}`, options);
  await isWell(page);
  return page;
}

async function isWell(page) {
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(page.requests.filter((url) => !url.startsWith("data:")), []);
  assert.ok(await page.value("document.documentElement.dataset.drawn"), "it was not drawn");
}

/** Changes a page's text, for the negative twins. */
function changed(path, name, change) {
  const to = join(folder, `${name}.html`);
  const text = readFileSync(path, "utf8");
  const other = change(text);
  assert.notEqual(other, text);
  writeFileSync(to, other);
  return to;
}

/** How many pixels of a figure's canvas have the color of a variable of the style sheet. */
const pixels = (figure, color) => `(() => {
  const canvas = document.querySelector("${figure} canvas");
  if (!canvas) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const hex = getComputedStyle(document.documentElement).getPropertyValue("--${color}").trim().slice(1);
  const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  let count = 0;
  for (let at = 0; at < data.length; at += 4) count += data[at] === r && data[at + 1] === g && data[at + 2] === b && data[at + 3] === 255;
  return count;
})()`;

const focus = (page, selector) => page.value(`document.querySelector(${JSON.stringify(selector)}).focus()`);
const text = (page, selector) => page.value(`document.querySelector(${JSON.stringify(selector)}).textContent`);

test("a page opens without a complaint and says its verdict in one sentence", async () => {
  for (const [{ path }, sentence] of [
    [HELD, "Holds: 5,000 requests, 4 flips of 2 proxies, no stale answer, 0 failed."],
    [VIOLATED, "Violated: 48 stale answers, 30 failed requests among 5,000 requests, 4 flips of 2 proxies."],
    [INCONCLUSIVE, "Inconclusive: 120 requests, 4 flips of 2 proxies, no rule broken, and no proof that none could have been."],
  ]) {
    const page = await opened(path);
    assert.equal((await text(page, "h1 span:last-child")).replace(/\s+/g, " "), sentence);
    for (const figure of ["over-time", "latency", "window", "all-flips", "laid-answers", "laid-latency", "proxies"]) {
      assert.ok(await page.value(`document.querySelector("#${figure} canvas")?.width > 0`), `${figure} is missing`);
    }
    assert.ok((await page.value(pixels("#over-time", "blue"))) > 100);
    assert.ok((await page.value(pixels("#over-time", "green"))) > 100);
    await page.close();
  }
});

test("a page whose script was changed is not run", async () => {
  const path = changed(VIOLATED.path, "other-script", (html) => html.replace("performance.now()", "performance.now( )"));
  await assert.rejects(opened(path), { code: "ERR_ASSERTION" });
});

test("the page's policy lets no request out, and without it one would be seen", async () => {
  const asked = [];
  const host = createServer((request, response) => { asked.push(request.url); response.end(); });
  await new Promise((done) => host.listen(0, "127.0.0.1", done));
  const image = `<main><img src="http://127.0.0.1:${host.address().port}/x.png" alt="">`;
  const asks = changed(VIOLATED.path, "asks", (html) => html.replace("<main>", image));
  const free = changed(asks, "free", (html) => html.replace(/<meta http-equiv[^>]*>/, ""));
  await assert.rejects(opened(asks), { code: "ERR_ASSERTION" });
  assert.deepEqual(asked, []);
  const page = await browser.open(`file://${free}`);
  await assert.rejects(isWell(page), { code: "ERR_ASSERTION" });
  assert.deepEqual(asked, ["/x.png"]);
  await page.close();
  await new Promise((done) => host.close(done));
});

/** Every stale answer is in the data, in the table of marks, and each shows in the picture. */
async function staleAnswersAreThere(path, certificate) {
  const page = await opened(path);
  const expected = certificate.figures.violations.stale ?? 0;
  const data = JSON.parse(await text(page, "#data"));
  assert.equal(data.marks.list.filter((mark) => (mark[3] >> 4) & 4).length, expected);
  assert.equal(data.columns.stale.reduce((sum, count) => sum + count, 0), expected);
  if (expected) {
    await page.value(`document.querySelector("#trouble details").open = true`);
    await page.until(`document.querySelector("#trouble tbody")`);
    const listed = await page.value(`[...document.querySelectorAll("#trouble tbody tr")].filter((row) => row.textContent.includes("stale")).length`);
    assert.equal(listed, expected);
  }
  const red = await page.value(pixels("#trouble", "alarm"));
  assert.equal(red > 20, expected > 0, `${red} pixels`);
  // The worst flip comes first, and shows those that it convicts.
  const worst = Math.max(...certificate.figures.flips.map((flip) => flip.stale));
  const told = await page.value(`[...document.querySelectorAll("#flip-facts dt")].find((name) => name.textContent === "stale answers").nextSibling.textContent`);
  assert.equal(told, String(worst));
  assert.equal((await page.value(pixels("#window", "alarm"))) > 20, expected > 0);
  await page.close();
}

test("every stale answer of the certificate is on the page", async () => {
  await staleAnswersAreThere(VIOLATED.path, VIOLATED.certificate);
  await staleAnswersAreThere(HELD.path, HELD.certificate);
});

test("a page that lost one stale answer is found out", async () => {
  const whole = /(?<=id="data">).*?(?=<\/script>)/s;
  const path = changed(VIOLATED.path, "lost", (html) => html.replace(whole, (json) => {
    const data = JSON.parse(json);
    const { list } = data.marks;
    list.splice(list.findIndex((mark) => (mark[3] >> 4) & 4), 1);
    return JSON.stringify(data);
  }));
  await assert.rejects(staleAnswersAreThere(path, VIOLATED.certificate), { code: "ERR_ASSERTION" });
});

test("the witness is drawn when violated, and only then", async () => {
  const bars = `[...document.querySelectorAll("#witness rect")].map((bar) => bar.getBoundingClientRect()).filter((box) => box.width > 2 && box.height > 5).length`;
  const evidence = VIOLATED.certificate.verdict.violated.evidence;
  const page = await opened(VIOLATED.path);
  assert.equal(await page.value(bars), evidence.length);
  for (const { line } of evidence) assert.match(await text(page, "#witness"), new RegExp(`line ${line}\\b`));
  await page.close();
  const held = await opened(HELD.path);
  assert.equal(await held.value(bars), 0);
  await held.close();
});

test("charts are read and zoomed, and flips chosen, by keys", async () => {
  const page = await opened(VIOLATED.path);
  const stops = [];
  for (let at = 0; at < 30; at++) {
    await page.key("Tab");
    stops.push(await page.value(`document.activeElement.closest("figure")?.id ?? document.activeElement.id`));
  }
  for (const stop of ["over-time", "trouble", "latency", "flip", "previous", "next", "window", "all-flips", "laid-answers", "proxies"]) {
    assert.ok(stops.includes(stop), `Tab does not reach ${stop}: ${stops}`);
  }
  for (const figure of ["over-time", "trouble", "latency", "window", "all-flips", "laid-answers", "laid-latency", "proxies"]) {
    await focus(page, `#${figure} .plot`);
    await page.key("Home");
    const first = await text(page, `#${figure} output`);
    await page.key("ArrowRight");
    const second = await text(page, `#${figure} output`);
    await page.key("ArrowLeft");
    assert.notEqual(first, second, figure);
    assert.equal(await text(page, `#${figure} output`), first, figure);
    await page.key("End");
    assert.notEqual(await text(page, `#${figure} output`), first, figure);
  }
  const shown = `document.querySelector("#latency canvas").toDataURL()`;
  await focus(page, "#over-time .plot");
  await page.key("Escape");
  const all = await page.value(shown);
  await page.key("+");
  await page.until(`${shown} !== ${JSON.stringify(all)}`);
  await page.key("0");
  await page.until(`${shown} === ${JSON.stringify(all)}`);

  const flip = () => text(page, "#window figcaption b");
  const worst = await flip();
  await page.key("n");
  assert.notEqual(await flip(), worst);
  assert.match(await page.value("location.hash"), /^#flip-/);
  await page.key("p");
  assert.equal(await flip(), worst);
  await focus(page, "#all-flips .plot");
  await page.key("Home");
  await page.key("Enter");
  assert.match(await flip(), /^Flip 1 on envoy-\d, to green\.$/);
  await isWell(page);
  await page.close();
});

test("an address names a flip", async () => {
  const page = await opened(VIOLATED.path, {}, "#flip-3-1");
  assert.equal(await text(page, "#window figcaption b"), "Flip 3 on envoy-1, to green.");
  await page.value(`location.hash = "#flip-2"`);
  await page.until(`document.querySelector("#window figcaption b").textContent.startsWith("Flip 2 on")`);
  await page.close();
});

/** The contrast of two colors, as WCAG 2 counts it. */
function contrast(one, other) {
  const light = (hex) => {
    const full = hex.length === 4 ? hex.replace(/[0-9a-f]/gi, "$&$&") : hex;
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(full.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

test("dark and light differ, and both can be read", async () => {
  const looks = [];
  for (const dark of [false, true]) {
    const page = await opened(VIOLATED.path, { dark });
    const color = (name) => page.value(`getComputedStyle(document.documentElement).getPropertyValue("--${name}").trim()`);
    const ground = await color("page");
    for (const name of ["text", "quiet", "blue-text", "green-text", "alarm"]) {
      assert.ok(contrast(await color(name), ground) >= 4.5, `${name} in ${dark ? "dark" : "light"}`);
    }
    for (const name of ["blue", "green"]) {
      assert.ok(contrast(await color(name), ground) >= 3, `${name} in ${dark ? "dark" : "light"}`);
    }
    // Told apart by their lightness, too.
    assert.ok(contrast(await color("blue"), await color("green")) >= 1.8);
    looks.push([ground, await page.value(`document.querySelector("#over-time canvas").toDataURL()`)]);
    if (!dark) {
      const light = looks[0][1];
      await page.look(true);
      await page.until(`document.querySelector("#over-time canvas").toDataURL() !== ${JSON.stringify(light)}`);
    }
    await page.close();
  }
  assert.notEqual(looks[0][0], looks[1][0]);
  assert.notEqual(looks[0][1], looks[1][1]);
});

test("on a phone nothing is wider than the screen", async () => {
  for (const { path } of [HELD, VIOLATED, INCONCLUSIVE]) {
    const page = await opened(path, { width: 360, height: 740, scale: 2, touch: true });
    assert.equal(await page.value("document.documentElement.scrollWidth"), 360);
    const widths = await page.value(`[...document.querySelectorAll(".plot canvas")].map((canvas) => canvas.getBoundingClientRect()).map(({ left, right }) => [left, right])`);
    assert.ok(widths.length >= 7);
    for (const [left, right] of widths) assert.ok(left >= 0 && right <= 360 && right - left > 250, `${left} to ${right}`);
    await page.close();
  }
});

const forms = (pdf) => (pdf.toString("latin1").match(/\/Subtype\s*\/Form/g) ?? []).length;

test("on paper all charts are there, in light ink", async () => {
  const page = await opened(VIOLATED.path, { dark: true });
  await page.value(`addEventListener("beforeprint", () => {
    window.printed = [...document.querySelectorAll("figure canvas")].map((canvas) => [canvas.closest("figure").id, canvas.getBoundingClientRect().width]);
    window.ground = getComputedStyle(document.documentElement).getPropertyValue("--page").trim();
  })`);
  const pdf = await page.pdf();
  const printed = await page.value("window.printed");
  assert.deepEqual(printed.map(([id]) => id).sort(), ["all-flips", "laid-answers", "laid-latency", "latency", "over-time", "proxies", "trouble", "window"]);
  for (const [id, width] of printed) assert.ok(width > 600 && width < 720, `${id} is ${width} wide`);
  assert.equal(await page.value("window.ground"), "#fff");
  // A canvas is printed as lines, not as dots: each is a form of its own.
  assert.ok(forms(pdf) >= printed.length, `${forms(pdf)} forms`);
  await page.until(`!document.documentElement.dataset.ink`);
  await isWell(page);
  await page.value(`document.querySelectorAll(".plot").forEach((plot) => plot.remove())`);
  assert.ok(forms(await page.pdf()) < printed.length, "forms are no sign of charts");
  await page.close();
});

test("what a history calls itself is never run", async () => {
  const evil = `</script><script>window.evil = 1</script><img src=x onerror="window.evil = 1">`;
  const { path } = drawn("evil", { service: evil, proxies: [evil, "b"], stale: 2 });
  const page = await opened(path);
  assert.equal(await page.value("window.evil"), undefined);
  assert.ok((await text(page, ".kicker")).includes(evil));
  assert.ok((await text(page, "#flip")).includes(evil.slice(0, 40)));
  await page.value(`for (const details of document.querySelectorAll("details")) details.open = true`);
  await page.until(`document.querySelector("#proxies tbody")`);
  assert.equal(await page.value("window.evil"), undefined);
  assert.equal(await page.value(`document.querySelectorAll("img, script").length`), 2);
  await isWell(page);
  await page.close();
});

test("a page of a thousand flips is small, opens, and shows each of them", async (t) => {
  const { path, certificate } = drawn("large", { flips: 1000, requests: 150, pause: 500, proxies: ["envoy-0"], stale: 3 });
  assert.ok(statSync(path).size < 2_000_000, `${statSync(path).size} bytes`);
  const page = await opened(path);
  t.diagnostic(`${statSync(path).size} bytes, drawn ${await page.value("document.documentElement.dataset.drawn")} ms after it was asked for`);
  assert.equal(await page.value(`document.querySelectorAll("#flip option").length`), 1000);
  await page.close();
  await staleAnswersAreThere(path, certificate);
});

test("where there are more stale answers than marks, a magnified flip shows its own all the same", async () => {
  const proxies = Array.from({ length: 30 }, (_, index) => `envoy-${index}`);
  const { path, certificate } = drawn("heavy", { proxies, flips: 24, requests: 100, stale: 20, failed: 4 });
  const page = await opened(path);
  const data = JSON.parse(await text(page, "#data"));
  assert.deepEqual(data.marks.stale, { drawn: 10_000, all: certificate.figures.violations.stale });
  assert.match(await text(page, "#trouble figcaption"), /10,000 of 14,400 stale/);
  assert.match(await text(page, "section:last-of-type ul"), /10,000 of 14,400 stale answers are drawn one by one/);
  await page.value(`document.querySelector("#window details").open = true`);
  await page.until(`document.querySelector("#window tbody")`);
  const listed = await page.value(`[...document.querySelectorAll("#window tbody tr")].filter((row) => row.textContent.includes("stale")).length`);
  assert.equal(listed, 20);
  await page.close();
});

test("a fleet's flips are drawn over all its proxies", async () => {
  const { path, certificate } = drawn("fleet", { scope: "fleet", stale: 2 });
  await staleAnswersAreThere(path, certificate);
  const page = await opened(path, {}, "#flip-3");
  assert.equal(await text(page, "#window figcaption b"), "Flip 3, to green.");
  assert.match(await text(page, ".kicker ~ h1"), /4 flips of 2 proxies together/);
  await page.close();
});

test("one flip, and none, make a page", async () => {
  for (const flips of [1, 0]) {
    const page = await opened(drawn(`flips-${flips}`, { flips }).path);
    assert.equal(await page.value(`document.querySelectorAll("#window canvas").length`), flips);
    await page.close();
  }
});
