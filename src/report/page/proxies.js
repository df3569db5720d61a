// One row for each proxy: who answered, what went wrong, what weather there was.

function proxies() {
  const { grid: cells, rows, weather, weather_seen: seen } = data.rows;
  if (!cells.count) return;
  const high = rows.length > 24 ? 22 : rows.length > 8 ? 40 : 58;
  /** Room for the name above the bars, where there is any. */
  const head = rows.length > 24 ? 0 : 14;
  const from = (at) => (cells.from + at * cells.width) / 1e9;
  const xs = Array.from({ length: cells.count }, (_, at) => from(at));
  const most = Math.max(1, ...rows.flatMap((row) => [...row.blue, ...row.green]));
  const sums = rows.map((row) => `${proxyName(row.proxy)}: ${grouped(sum(row.blue))} by blue, ${grouped(sum(row.green))} by green, ${grouped(sum(row.trouble))} broke a rule`);
  const more = data.proxies_seen > rows.length ? ` ${rows.length} of ${grouped(data.proxies_seen)} proxies have a row.` : "";
  const stormy = weather.length ? " Gray spans are weather" + (seen > weather.length ? ` (the first ${grouped(weather.length)} of ${grouped(seen)})` : "") + "." : "";
  const placed = new Map(rows.map((row, place) => [row.proxy, place]));
  chart("proxies", {
    group: "run",
    title: "Answers by proxy.",
    caption: `In each row blue above, green below; the taller, the more. ✕ marks a rule that was broken.${stormy}${more}`,
    alt: sums.slice(0, 8).join("; ") + ".",
    make: () => ({
      options: {
        height: rows.length * high + 40,
        padding: [4, RIGHT, 0, 0],
        scales: { y: { range: [0, rows.length] } },
        series: [{}, { paths: () => null, points: { show: false } }],
        axes: [axis({ values: seconds }), axis({ size: LEFT, splits: () => [], values: () => [] })],
        hooks: {
          draw: [brush((ctx, box, x) => {
            ctx.save();
            ctx.beginPath();
            ctx.rect(box.left, box.top, box.width, box.height);
            ctx.clip();
            rows.forEach((row, place) => {
              const top = box.top + place * high;
              const middle = top + (high + head) / 2;
              const half = (high - head) / 2 - 3;
              for (const [proxy, kind, start, end] of weather) {
                if (proxy !== row.proxy) continue;
                const left = x(start / 1e6);
                const width = Math.max(2, x(end / 1e6) - left);
                ctx.fillStyle = ink.soft;
                ctx.globalAlpha = 0.35;
                ctx.fillRect(left, top + head + 1, width, high - head - 2);
                ctx.globalAlpha = 1;
                if (head && width > 6 * kind.length) label(ctx, kind, left + width - 3, top + 13, ink.quiet, "right");
              }
              for (let at = 0; at < cells.count; at++) {
                const left = x(from(at));
                const width = x(from(at + 1)) - left;
                ctx.fillStyle = ink.blue;
                const up = (half * row.blue[at]) / most;
                if (up) ctx.fillRect(left, middle - Math.max(1, up), width + 0.3, Math.max(1, up));
                ctx.fillStyle = ink.green;
                const down = (half * row.green[at]) / most;
                if (down) ctx.fillRect(left, middle, width + 0.3, Math.max(1, down));
              }
              ctx.strokeStyle = ink.alarm;
              ctx.lineWidth = 1.5;
              for (let at = 0; at < cells.count; at++) {
                if (row.trouble[at]) cross(ctx, x(from(at + 0.5)), middle, 3.5);
              }
              ctx.strokeStyle = ink.grid;
              ctx.lineWidth = 1;
              ctx.strokeRect(box.left - 1, top + 0.5, box.width + 2, high);
            });
            ctx.restore();
            rows.forEach((row, place) => label(ctx, proxyName(row.proxy), box.left + 2, box.top + place * high + 13, ink.text));
          })],
        },
      },
      values: [xs, xs.map(() => null)],
      extent: runRange(),
    }),
    read: (at) => {
      const now = (row) => `${proxyName(row.proxy)} ${grouped(row.blue[at])} blue, ${grouped(row.green[at])} green` + (row.trouble[at] ? `, ${grouped(row.trouble[at])} broke a rule` : "");
      const storm = weather.filter(([, , start, end]) => start / 1e6 <= from(at + 1) && end / 1e6 >= from(at)).map(([proxy, kind]) => `${proxyName(proxy)} ${kind}`);
      return `${instant(from(at), cells.width / 1e9)}: ${rows.slice(0, 6).map(now).join("; ")}${rows.length > 6 ? "; …" : ""}. ${[...new Set(storm)].slice(0, 4).join(", ")}`;
    },
    rows: () => [
      ["proxy", "blue", "green", "broke a rule"],
      ...rows.map((row) => [proxyName(row.proxy), grouped(sum(row.blue)), grouped(sum(row.green)), grouped(sum(row.trouble))]),
    ],
  });
}
