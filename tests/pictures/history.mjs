// Histories made up, one line an operation: see docs/history.md.

const MS = 1_000_000;

/**
 * A run of `flips` flips, one every `pause` ms, with `requests` requests to each proxy in between. Of these the first `stale` are
 * decided by the generation before, though the new one was acknowledged, and the last `failed` fail.
 */
export function history({ service = "shop", proxies = ["envoy-0", "envoy-1"], flips = 4, pause = 1000, requests = 500, stale = 0, failed = 0, weather = false, scope = "proxy" }) {
  const lines = [{
    cutover_history: 1, seed: 7, started_at: "2025-11-21T10:00:00Z", versions: { cutover: "0.1.0", envoy: "1.40.0" },
    module_sha256: "ab".repeat(32), service, scope, window_ns: 20 * MS,
    proxies: proxies.map((name) => ({ name, workers: 2, listeners: 1 })), command: "cutover verify --seed 7",
  }];
  const color = (generation) => (generation % 2 ? "blue" : "green");
  const step = ((pause - 4) * MS) / requests;
  for (let flip = 0; flip <= flips; flip++) {
    const generation = flip + 1;
    const invoked = flip * pause * MS;
    proxies.forEach((_, proxy) => {
      lines.push({ push: { flip, kind: flip ? "flip" : "install", proxy, generation, color: color(generation), invoked, acknowledged: invoked + MS / 2 } });
      for (let index = 0; index < requests; index++) {
        const start = Math.round(invoked + MS + index * step);
        const at = [start - 1000, start, start + 300_000 + ((index * 791_900) % 900_000)];
        const decided = flip && index < stale ? generation - 1 : generation;
        const outcome = index >= requests - failed ? { error: "upstream reset", status: 503 } : { served: color(decided), by: [decided, color(decided)] };
        lines.push({ req: { c: 1, p: proxy, kind: index % 2 ? "h2" : "h1", at, ...outcome } });
      }
    });
  }
  if (weather) lines.push({ weather: { kind: "paused", proxy: 0, from: pause * MS + 300 * MS, until: pause * MS + 400 * MS } });
  return lines.map((line) => JSON.stringify(line) + "\n").join("");
}
