// Which records each filter takes, by the page's own code: reads a page and a list of filters, prints JSON.

import { readFileSync } from "node:fs";

const [page, filters] = process.argv.slice(2).map((path) => readFileSync(path, "utf8"));
globalThis.document = {
  getElementById(id) {
    const begin = page.indexOf(`id="${id}">`);
    const start = begin + id.length + 6;
    return begin < 0 ? null : { textContent: page.slice(start, page.indexOf("</script>", start)) };
  },
};
const { Trace } = await import("../../page/data.js");
const { compile } = await import("../../page/filter.js");
const { FilterError } = await import("../../page/tokens.js");
const { summary } = await import("../../page/words.js");
const trace = await Trace.load();
const matches = filters.trimEnd().split("\n").map((text) => {
  try {
    const test = compile(trace, text);
    return [...trace.seqs].filter((_, index) => test(index));
  } catch (error) {
    if (error instanceof FilterError) return error.message;
    throw error;
  }
});
const summaries = Array.from(trace.seqs, (_, index) => (trace.isAccess(index) ? summary(trace, index) : ""));
console.log(JSON.stringify({ matches, summaries }));
