// A proxy-wasm host of a few lines that does to the module what no real proxy does on command:
// every host call answers with every status, and headers hold any bytes. A trap is a failure.
import { readFile } from "node:fs/promises";
import { argv, exit } from "node:process";
import { randomFillSync } from "node:crypto";

const OK = 0, NOT_FOUND = 1;
const module = await WebAssembly.compile(await readFile(argv[2]));

class Host {
  constructor({ config, headers = {}, broken = null, status = OK, random = true }) {
    Object.assign(this, { config, headers, broken, status, random });
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
        this.view().setBigUint64(args[2], 1763722800000000000n, true);
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
    return this.set.find(([name]) => name.startsWith("x-cutover-c"))?.[1] ?? "not routed";
  }
}

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

let runs = 0;
const failures = [];
const attempt = (what, options, expect) => {
  runs += 1;
  try {
    const got = new Host(options).run();
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

for (const failure of failures.slice(0, 20)) console.log(failure);
console.log(`${runs - failures.length} passed, ${failures.length} failed`);
exit(failures.length ? 1 : 0);
