// uPlot makes a number format for the browser's language as it loads; some browsers without a locale name one that there
// is none for ("en-US@posix").
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US", configurable: true });
}
