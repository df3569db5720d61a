// All flips laid over one another: what a flip does to the answers and to the latency around it.

function laid() {
  const all = data.laid;
  const section = document.getElementById("laid");
  if (!all || sum(all.old) + sum(all.new) === 0) {
    section.remove();
    return;
  }
  const step = all.width / 1e6;
  const xs = Array.from({ length: all.old.length + 1 }, (_, at) => at * step - all.before / 1e6);
  const extent = [xs[0], xs[xs.length - 1]];
  const most = Math.max(...all.old, ...all.new);
  const zero = (ctx, box, x) => {
    const at = Math.round(x(0)) + 0.5;
    ctx.strokeStyle = ink.text;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(at, box.top);
    ctx.lineTo(at, box.bottom);
    ctx.stroke();
  };
  const milliseconds = (u, values) => values.map((value) => +value.toFixed(4) + " ms");
  const slot = (at) => `${ms(xs[at])} to ${ms(xs[Math.min(at + 1, all.old.length)])} from the push`;
  chart("laid-answers", {
    group: "laid",
    title: "Old and new.",
    caption: `Requests by when they began, ms from the push, over ${many(all.flips, "flip")}: decided by an older generation above, by the new one below.`,
    alt: `${grouped(sum(all.old))} requests were decided by an older generation, ${grouped(sum(all.new))} by the new one.`,
    make: () => ({
      options: {
        height: 190,
        padding: [14, RIGHT, 0, 0],
        scales: { y: { range: [-most * 1.05, most * 1.05] } },
        series: [
          {},
          { fill: ink.soft, width: 0, fillTo: () => 0, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
          { fill: ink.ink, width: 0, fillTo: () => 0, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
        ],
        axes: [axis({ values: milliseconds }), axis({ size: LEFT, grid: { stroke: ink.grid, width: 1 }, values: (u, list) => list.map((value) => grouped(Math.abs(value))) })],
        hooks: {
          draw: [brush((ctx, box, x) => {
            zero(ctx, box, x);
            ctx.font = `600 13px ${ink.font}`;
            label(ctx, "old", box.right + 4, box.top + box.height * 0.3, ink.quiet);
            label(ctx, "new", box.right + 4, box.top + box.height * 0.7 + 8, ink.text);
            ctx.font = `12px ${ink.font}`;
            label(ctx, "push", x(0) + 4, box.top - 3, ink.text);
          })],
        },
      },
      values: [xs, stepped(all.old), stepped(all.new.map((count) => -count))],
      extent,
    }),
    read: (index) => {
      const at = Math.min(index, all.old.length - 1);
      return `${slot(at)}: ${many(all.old[at], "request")} decided by an older generation, ${grouped(all.new[at])} by the new one.`;
    },
    rows: () => [
      ["from the push", "old", "new", "p50", "p99", "most"],
      ...all.old.map((count, at) => [ms(xs[at]), grouped(count), grouped(all.new[at]), ...[all.p50, all.p99, all.most].map((list) => ms(list[at] === null ? null : list[at] / 1000))]),
    ],
  });
  const measured = all.most.filter((value) => value !== null);
  if (!measured.length) return;
  const low = Math.min(...all.p50.filter((value) => value !== null));
  chart("laid-latency", {
    group: "laid",
    title: "Latency before, during and after.",
    caption: "By when a request began, ms from the push.",
    alt: `Median from ${span(low / 1000)}, most ${span(Math.max(...measured) / 1000)}.`,
    make: () => ({
      options: latencyOptions(170, Math.max(low, 1) / 1000, Math.max(...measured, 1) / 1000, milliseconds, zero, true),
      values: latencyValues(xs, all, stepped),
      extent,
    }),
    read: (index) => {
      const at = Math.min(index, all.old.length - 1);
      return `${slot(at)}: ` + latencyWords(all, at);
    },
  });
}
