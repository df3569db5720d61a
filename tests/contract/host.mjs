// A proxy-wasm host of a few lines that does to the module what no real proxy does on command:
// every host call answers with every status, and headers hold any bytes. A trap is a failure.
import { readFile } from "node:fs/promises";
import { argv, exit } from "node:process";
import { randomFillSync } from "node:crypto";

const OK = 0, NOT_FOUND = 1;
const module = await WebAssembly.compile(await readFile(argv[2]));

class Host {
  constructor({ config, headers = {}, broken = null, status = OK, random = true, clock = true_clock }) {
    Object.assign(this, { config, headers, broken, status, random, clock });
    // Nanoseconds since the start, and how often a clock was read.
    this.passed = 0n;
    this.reads = 0n;
    this.shared = new Map();
    this.set = [];
    this.calls = [];
    const env = {}, wasi = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      const call = (...args) => this.call(name, args);
      (from === "env" ? env : wasi)[name] = call;
    }
    this.wasm = new WebAssembly.Instance(module, { env, wasi_snapshot_preview1: wasi }).exports;
  }

  view() { return new DataView(this.wasm.memory.buffer); }
  bytes(at, size) { return new Uint8Array(this.wasm.memory.buffer, at, size).slice(); }
  text(at, size) { return Buffer.from(this.bytes(at, size)).toString("latin1"); }

  give(value, data, size) {
    if (value === undefined) return NOT_FOUND;
    const at = value.length ? this.wasm.proxy_on_memory_allocate(value.length) : 0;
    new Uint8Array(this.wasm.memory.buffer).set(value, at);
    this.view().setUint32(data, at, true);
    this.view().setUint32(size, value.length, true);
    return OK;
  }

  call(name, args) {
    this.calls.push(name);
    if (name === this.broken) return this.status;
    switch (name) {
      case "proxy_get_header_map_value": return this.give(this.headers[this.text(args[1], args[2])], args[3], args[4]);
      case "proxy_get_buffer_bytes": return this.give(Buffer.from(this.config), args[3], args[4]);
      case "proxy_get_property": return this.give(Buffer.from("test"), args[2], args[3]);
      case "proxy_replace_header_map_value":
        this.set.push([this.text(args[1], args[2]), this.text(args[3], args[4])]);
        return OK;
      case "proxy_get_shared_data": {
        const value = this.shared.get(this.text(args[0], args[1]));
        this.view().setUint32(args[4], 1, true);
        return this.give(value, args[2], args[3]);
      }
      case "proxy_set_shared_data":
        this.shared.set(this.text(args[0], args[1]), this.bytes(args[2], args[3]));
        return OK;
      case "random_get":
        if (this.random) randomFillSync(new Uint8Array(this.wasm.memory.buffer, args[0], args[1]));
        return OK;
      case "environ_sizes_get":
        this.view().setUint32(args[0], 1, true);
        this.view().setUint32(args[1], 32, true);
        return OK;
      case "environ_get":
        this.view().setUint32(args[0], args[1], true);
        new Uint8Array(this.wasm.memory.buffer).set(Buffer.from("CUTOVER_KEY_k1=0123456789abcdef\0"), args[1]);
        return OK;
      case "clock_time_get":
        this.view().setBigUint64(args[2], this.clock(args[0], this), true);
        this.reads += 1n;
        return OK;
      case "proxy_set_tick_period_milliseconds":
        this.period = args[0];
        return OK;
      default: return OK;
    }
  }

  // What a proxy does: start, configure, one request, its response, its end.
  run() {
    this.wasm._initialize();
    this.wasm.proxy_on_context_create(1, 0);
    const configured = this.wasm.proxy_on_configure(1, this.config.length);
    if (!configured) return "refused";
    this.wasm.proxy_on_context_create(2, 1);
    this.calls = [];
    this.wasm.proxy_on_request_headers(2, 3, 1);
    this.wasm.proxy_on_response_headers(2, 3, 1);
    this.wasm.proxy_on_delete(2);
    return this.routed();
  }

  // Where the last request was routed to.
  routed() {
    const route = this.set.findLast(([name]) => name.startsWith("x-cutover-c"));
    this.set = [];
    return route?.[1] ?? "not routed";
  }

  request(context) {
    this.wasm.proxy_on_context_create(context, 1);
    this.calls = [];
    return `${this.wasm.proxy_on_request_headers(context, 3, 1) ? "held" : "goes"} ${this.routed()}`;
  }

  // A switch that is staged: requests before, within and after its window, of which one leaves, and a root that ends.
  run_staged() {
    const said = [];
    const tick = (milliseconds) => {
      this.passed = BigInt(milliseconds) * 1_000_000n;
      this.calls = [];
      this.wasm.proxy_on_tick(1);
      said.push(`tick ${this.routed()} then ${this.period}`);
    };
    this.wasm._initialize();
    this.wasm.proxy_on_context_create(1, 0);
    if (!this.wasm.proxy_on_configure(1, this.config.length)) return "refused";
    tick(1);
    said.push(this.request(2));
    this.staged = this.calls;
    tick(9985);
    said.push(this.request(3), this.request(4));
    this.wasm.proxy_on_delete(3);
    tick(10019);
    said.push(this.request(5));
    tick(10020);
    this.resumed = this.calls.filter((call) => /continue|effective/.test(call));
    said.push(this.request(6));
    tick(10040);
    said.push(this.request(7));
    this.committed = this.calls;
    for (const context of [2, 4, 5, 6, 7]) {
      this.wasm.proxy_on_response_headers(context, 3, 1);
      this.wasm.proxy_on_delete(context);
    }
    this.wasm.proxy_on_delete(1);
    return said.join(", ");
  }
}

const START = 1763722800_000_000_000n;
const true_clock = (id, host) => (id === 0 ? START : 5000n) + host.passed;

const service = (extra = {}) => JSON.stringify({
  active: "blue", generation: 7, blue: "b", green: "g", hosts: ["shop.example.com", "*"],
  override: { header: "x-preview", cookie: "preview", keys: ["k1"], paths: ["/"] },
  expose: { response_header: true, filter_state: true }, ...extra,
});
const unsigned = { override: { header: "x-preview", cookie: "preview", unsigned: true } };
const headers = { ":authority": Buffer.from("shop.example.com"), ":path": Buffer.from("/") };
const green = { ...headers, "x-preview": Buffer.from("green") };
const cases = {
  plain: { config: service(), headers, expect: "b" },
  refused: { config: service(), headers: green, expect: "b" },
  granted: { config: service(unsigned), headers: green, expect: "g" },
  closed: { config: service({ ...unsigned, closed: ["green"] }), headers: green, expect: "not routed" },
  forbidden: { config: service({ override: { header: "x-preview", keys: ["k1"], refused: "forbid" } }), headers: green, expect: "not routed" },
  unclaimed: { config: service({ hosts: ["other"] }), headers, expect: "not routed" },
  "per worker": { config: service({ generation: undefined }), headers, expect: "b" },
  invalid: { config: "{", expect: "refused" },
  empty: { config: "", expect: "refused" },
};

const previous = { generation: 6, active: "blue" };
const switched = { active: "green", activate_at: 1763722810000, hold: 20, previous };
const staged = { config: service({ ...switched, max_held: 1 }), headers };
// One waits, whose client goes; the next one finds as many held as may be.
const told = [
  "tick not routed then 20", "goes b", "tick not routed then 20", "held not routed", "held not routed",
  "tick not routed then 1", "held not routed", "tick g then 20", "goes g", "tick not routed then 0", "goes g",
].join(", ");

let runs = 0;
const failures = [];
const attempt = (what, options, expect, run = (host) => host.run()) => {
  runs += 1;
  try {
    const got = run(new Host(options));
    if (expect !== undefined && got !== expect) failures.push(`${what}: ${got}, not ${expect}`);
  } catch (error) {
    failures.push(`${what}: ${error}`);
  }
};

const imports = WebAssembly.Module.imports(module).map(({ name }) => name);
for (const [name, { expect, ...options }] of Object.entries(cases)) {
  attempt(name, options, expect);
  for (const broken of imports.filter((call) => call.startsWith("proxy_"))) {
    for (const status of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 99, 4294967295]) {
      attempt(`${name}, ${broken} says ${status}`, { ...options, broken, status });
    }
  }
  attempt(`${name}, no randomness`, { ...options, broken: "random_get", status: 52, random: false });
}

const run_staged = (host) => host.run_staged();
attempt("staged", staged, told, run_staged);
for (const extra of [{}, { max_held: 1 }, { ...unsigned, closed: ["blue"] }, { expose: {} }]) {
  const options = { ...staged, config: service({ ...switched, ...extra }) };
  for (const broken of imports.filter((call) => /^proxy_|^clock_/.test(call))) {
    for (const status of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 28, 99, 4294967295]) {
      attempt(`staged, ${broken} says ${status}`, { ...options, broken, status }, undefined, run_staged);
    }
  }
  // Clocks that stand still, run backwards, jump about, or say what no clock can.
  const clocks = {
    still: () => START,
    backwards: (id, host) => START - host.reads * 1_000_000_000n,
    "only the monotonic one backwards": (id, host) => (id === 0 ? true_clock(id, host) : START - host.passed),
    jumping: (id, host) => (host.reads % 3n) * START,
    zero: () => 0n,
    largest: () => 0xffff_ffff_ffff_ffffn,
    "largest of signed ones": (id) => (id === 0 ? 0x7fff_ffff_ffff_ffffn : 0n),
    "as far apart as may be": (id) => (id === 0 ? 0n : 0x7fff_ffff_ffff_ffffn),
  };
  for (const [name, clock] of Object.entries(clocks)) {
    attempt(`staged, clocks ${name}`, { ...options, clock }, undefined, run_staged);
  }
}

// Bytes that are no text, in every header that is ever read.
for (const bytes of [[0xff, 0xfe], [0xc3, 0x28], [0], [0xed, 0xa0, 0x80], Array(70000).fill(0x2e), []]) {
  for (const name of [":authority", ":path", "x-preview", "cookie"]) {
    for (const options of [cases.plain, cases.granted, cases.unclaimed]) {
      const value = Buffer.from(name === "cookie" ? [...Buffer.from("preview="), ...bytes] : bytes);
      attempt(`${name} ${bytes.slice(0, 3)}`, { ...options, headers: { ...options.headers, [name]: value } });
    }
  }
}

// What the default request path costs: one look at the register, and the headers; no metric, no clock.
const plain = new Host({ config: JSON.stringify({ active: "blue", generation: 7, blue: "b", green: "g" }), headers });
plain.run();
const [get, replace, remove] = ["get_shared_data", "replace_header_map_value", "remove_header_map_value"];
runs += 1;
if (plain.calls.join() !== [get, replace, remove, replace].map((call) => `proxy_${call}`).join()) {
  failures.push(`the default request path calls ${plain.calls}`);
}

// While a switch is staged one clock is read more; once it is committed nothing of that is left.
const calls = new Host({ ...staged, config: JSON.stringify({ ...switched, generation: 7, blue: "b", green: "g" }) });
calls.run_staged();
const path = [get, replace, remove, replace].map((call) => `proxy_${call}`);
const expected = {
  staged: [path[0], "clock_time_get", ...path.slice(1)],
  committed: path,
  resumed: ["proxy_set_effective_context", "proxy_continue_stream", "proxy_set_effective_context", "proxy_continue_stream", "proxy_set_effective_context"],
};
for (const [when, expect] of Object.entries(expected)) {
  runs += 1;
  if (calls[when].join() !== expect.join()) failures.push(`when ${when} a request calls ${calls[when]}`);
}

for (const failure of failures.slice(0, 20)) console.log(failure);
console.log(`${runs - failures.length} passed, ${failures.length} failed`);
exit(failures.length ? 1 : 0);
