// Pictures of two pages, from the verdict to the first flip magnified: `screenshots.mjs FROM TO`, see scripts/screenshots.

import { statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Browser } from "./browser.mjs";

const [from, to] = process.argv.slice(2);
/** Pictures live in the repository: small ones. */
const MOST = 200_000;
const browser = new Browser(process.env.CHROMIUM);
try {
  // One of each look.
  for (const [name, dark] of [["held", false], ["violated", true]]) {
    const page = await browser.open(`file://${resolve(from, name, "report.html")}`, { width: 1000, dark });
    await page.until("document.documentElement.dataset.drawn");
    const height = await page.value(`Math.ceil(document.querySelector("#window .plot").getBoundingClientRect().bottom + scrollY + 4)`);
    const file = join(to, `report-${name}.png`);
    writeFileSync(file, await page.picture({ x: 0, y: 0, width: 1000, height }));
    if (statSync(file).size > MOST) throw new Error(`${file} is larger than ${MOST} bytes`);
    await page.close();
  }
} finally {
  await browser.close();
}
