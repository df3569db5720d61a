// A headless Chromium, driven over its debugging pipe: the Chrome DevTools Protocol, JSON messages that end in a zero
// byte, on file descriptors 3 and 4. Node.js needs nothing else for it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
];
/** How long one answer of Chromium, or one condition, may take. */
const DEADLINE = 60_000;

export class Browser {
  #child;
  #folder;
  #next = 1;
  #waiting = new Map();
  #listeners = new Map();
  #left = "";

  constructor(path) {
    this.#folder = mkdtempSync(join(tmpdir(), "cutover-pictures-"));
    this.#child = spawn(path, [...FLAGS, `--user-data-dir=${this.#folder}`, "about:blank"], {
      stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
    });
    let complaints = "";
    this.#child.stderr.on("data", (chunk) => { complaints = (complaints + chunk).slice(-4000); });
    this.#child.stdio[3].on("error", () => {});
    this.#child.stdio[4].setEncoding("utf8").on("data", (chunk) => this.#receive(chunk));
    this.exited = new Promise((resolve) => this.#child.on("exit", resolve));
    this.exited.then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`Chromium ended: ${complaints}`));
      this.#waiting.clear();
    });
  }

  #receive(chunk) {
    const parts = (this.#left + chunk).split("\0");
    this.#left = parts.pop();
    for (const part of parts) {
      const message = JSON.parse(part);
      if (message.id === undefined) {
        this.#listeners.get(message.sessionId)?.(message.method, message.params);
        continue;
      }
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error) waiting?.reject(new Error(`${waiting.method}: ${message.error.message}`));
      else waiting?.resolve(message.result);
    }
  }

  /** Calls a method of the protocol. */
  call(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    this.#child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer in time`)), DEADLINE);
      const done = (settle) => (value) => { clearTimeout(timer); settle(value); };
      this.#waiting.set(id, { method, resolve: done(resolve), reject: done(reject) });
    });
  }

  /** Opens a page; it counts what it asks of the network, and what it complains of. */
  async open(url, { width = 1100, height = 900, dark = false, scale = 1, touch = false } = {}) {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId, targetId);
    this.#listeners.set(sessionId, (method, params) => page.heard(method, params));
    await Promise.all(["Page", "Runtime", "Network", "Log"].map((domain) => page.call(`${domain}.enable`)));
    await page.size(width, height, scale, touch);
    await page.look(dark);
    await page.call("Page.navigate", { url });
    await page.until("document.readyState === 'complete'");
    return page;
  }

  async close() {
    await this.call("Browser.close").catch(() => {});
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await this.exited;
    clearTimeout(timer);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class Page {
  /** URLs that were asked for, without the page itself. */
  requests = [];
  /** Errors, warnings, violated policies. */
  complaints = [];

  constructor(browser, session, target) {
    Object.assign(this, { browser, session, target });
  }

  call(method, params) {
    return this.browser.call(method, params, this.session);
  }

  heard(method, params) {
    if (method === "Network.requestWillBeSent" && params.type !== "Document") this.requests.push(params.request.url);
    if (method === "Log.entryAdded" && params.entry.level !== "info") this.complaints.push(params.entry.text);
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) {
      this.complaints.push(params.args.map((arg) => arg.value ?? arg.description).join(" "));
    }
  }

  size(width, height, deviceScaleFactor = 1, mobile = false) {
    return this.call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor, mobile });
  }

  look(dark) {
    return this.call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
  }

  /** The value of an expression in the page. */
  async value(expression) {
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  /** Waits until an expression is true. */
  async until(expression) {
    const end = Date.now() + DEADLINE;
    while (!(await this.value(expression))) {
      if (Date.now() > end) throw new Error(`never true: ${expression}`);
      await this.value("new Promise((done) => requestAnimationFrame(done))");
    }
  }

  async key(key, modifiers = 0) {
    const text = key.length === 1 ? key : undefined;
    await this.call("Input.dispatchKeyEvent", { type: "keyDown", key, text, modifiers, code: key });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", key, modifiers, code: key });
  }

  async picture(clip = undefined) {
    const { data } = await this.call("Page.captureScreenshot", { format: "png", captureBeyondViewport: true, ...(clip ? { clip: { scale: 1, ...clip } } : {}) });
    return Buffer.from(data, "base64");
  }

  /** The whole page, however long. */
  async whole() {
    const { cssContentSize: { width, height } } = await this.call("Page.getLayoutMetrics");
    return this.picture({ x: 0, y: 0, width, height });
  }

  async pdf() {
    const { data } = await this.call("Page.printToPDF", { printBackground: true, preferCSSPageSize: true });
    return Buffer.from(data, "base64");
  }

  close() {
    return this.browser.call("Target.closeTarget", { targetId: this.target });
  }
}
