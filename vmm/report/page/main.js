// The page: loads the trace, and draws its sections.

import { Access } from "./access.js";
import { drawAnswer } from "./answer.js";
import { Trace } from "./data.js";
import { byId, element } from "./dom.js";
import { drawExpectations } from "./expectations.js";
import { drawFindings } from "./findings.js";
import { List } from "./list.js";
import { alike, both } from "./mappings.js";
import { Picture } from "./picture.js";
import { drawRegisters } from "./registers.js";
import { drawScenarios } from "./scenarios.js";
import { Timeline } from "./timeline.js";
import { counted, number } from "./words.js";

const trace = await Trace.load();
const { meta } = trace;
document.title = `${meta.trace ?? "trace"} · barscope`;
byId("title").textContent = meta.trace ?? "A trace";
const { machine } = meta;
byId("subtitle").textContent = [
  ...(machine ? [machine.guest, counted(machine.vcpus, "vCPU")] : []),
  ...meta.functions.map((/** @type {import("./data.js").PciFunction} */ one) => `${one.bdf} ${one.name}`),
  counted(meta.records, "record"),
].join(" · ");
const cut = "Cut the trace by --filter or --scenario to see others.";
byId("notes").append(
  ...[
    ...(meta.filter ? [`Only records like ${meta.filter}: ${number(meta.notSelected)} are not shown. Mappings are those of all.`] : []),
    ...(meta.leftOut > 0 ? [`${counted(meta.leftOut, "record")} after the first ${number(meta.records)} left out. ${cut}`] : []),
    ...(meta.textsLeftOut > 0 ? [`${counted(meta.textsLeftOut, "text")} left out, which would not fit. ${cut}`] : []),
    ...meta.warnings,
  ].map((note) => element("p", {}, note)),
);
drawAnswer(trace);
new Picture(trace);
const list = new List(trace);
const access = new Access(trace, list);
drawRegisters(trace, list);
drawExpectations(trace);
drawScenarios(trace);
drawFindings(trace);
for (const section of ["compared", "tests", "findings"]) byId(`${section}-link`).hidden = byId(section).hidden;
const verdicts = ["expected", "verdict"].map((id) => byId(id)).filter(({ textContent }) => textContent);
byId("outcome").append(...verdicts.map((one) => element("a", { href: "#tests", class: one.className }, one.textContent)));
const linted = byId("linted");
if (linted.textContent) byId("outcome").append(element("a", { href: "#findings", class: linted.className }, linted.textContent));
const timeline = new Timeline(trace);

/** Shows what the address of the page names. */
function follow() {
  const [, sort, rest] = /^#(record|timeline|scenario)-(.+)$/.exec(decodeURIComponent(location.hash)) ?? [];
  if (sort === "scenario") timeline.scenario(rest);
  const numbers = /^(\d+)(?:-(\d+))?$/.exec(rest ?? "");
  if (sort === "timeline" && numbers?.[2]) timeline.range(Number(numbers[1]), Number(numbers[2]));
  if (sort === "record" && numbers) {
    access.show(Number(numbers[1]), numbers[2] === undefined ? null : Number(numbers[2]));
    timeline.choose(trace.indexOf(Number(numbers[1])));
  }
  if (sort) byId(sort === "record" ? "access" : "timeline").scrollIntoView();
}
addEventListener("hashchange", follow);
const shown = both(meta.maps.resources);
const pair = shown && alike(trace, shown);
if (pair) access.show(...pair);
else {
  // An access to a BAR says more than one to configuration space.
  const shapes = trace.shapes.map(({ kind, region }) => (kind === "read" || kind === "write" ? (region === null || region === "CONFIG" ? 1 : 2) : 0));
  const first = [2, 1].map((rank) => trace.shapeOf.findIndex((shape) => shapes[shape] === rank)).find((index) => index >= 0);
  if (first !== undefined) access.show(trace.seqs[first], null);
}
follow();
document.documentElement.dataset.ready = String(Math.round(performance.now()));
