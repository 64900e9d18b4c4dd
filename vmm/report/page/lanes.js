// Lanes of the timeline: which records are in which, as what, in order.

import { number } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./data.js").Shape} Shape */
/** @typedef {{ from: number, to: number, index: number }} Span Places `from` up to `to`, of the record at `index`. */
/** @typedef {"scenario" | "vcpu" | "process" | "device" | "other"} Sort */
/** @typedef {{ sort: Sort, name: string, key: string, marks: Map<string, Uint32Array>, spans: Map<string, Span[]> }} Lane */
/** @typedef {{ at: Uint32Array, length: number }} Indices */
/** @typedef {{ lists: Map<string, Indices>, call: { name: string, span: Span } | null, open: { scenario: Span[], handler: Span[] } }} Growing */
/**
 * What a record of a shape adds to a lane.
 * @typedef {{ lane: Lane, grows: Growing, list: Indices | null, syscall: string | undefined, what: "scenario" | "handler" | null, busy: boolean, begins: boolean }} Put
 */

/** Processes beyond so many share a lane: a trace can have thousands. */
const PROCESSES_MAX = 24;

/** What a record of a kind is drawn as. */
const DRAWN = /** @type {Record<string, string>} */ ({
  dma: "dma", msi: "interrupt", intx: "interrupt", "interrupt-lost": "fault", "interrupt-masked": "fault", "address-cut": "fault",
  "fault-resolved": "fault", "fault-fatal": "fault", "not-emulated": "fault", oops: "fault", warning: "fault", busy: "change",
  change: "change", isr: "handler", "kernel-entries": "entry", mark: "text", console: "text",
});

/** What a device does by itself or because of an access. */
const EFFECTS = new Set([
  "change", "busy", "msi", "intx", "interrupt-lost", "interrupt-masked", "address-cut", "dma", "route", "backing", "pages-written", "doorbell",
]);

/** Kinds that are part of a span, and nothing else. */
const ENDS = new Set(["scenario-begin", "scenario-end", "isr-exit"]);

/**
 * The process of a record: as the guest names it, else the address space of ring 3 by who mapped something into it.
 * @param {Trace} trace
 * @param {number} index
 * @param {Map<string, string>} spaces
 */
function processOf(trace, index, spaces) {
  const pid = trace.property("pid", index);
  if (pid !== undefined) return `${trace.property("process", index)} ${pid}`;
  const cr3 = trace.property("cpl", index) === 3 ? trace.property("cr3", index) : undefined;
  if (cr3 === undefined) return undefined;
  const space = cr3.toString(16);
  // An address space is used again for the next process: a mapping tells whose it is.
  const who = trace.property("mapped-by", index);
  if (who !== undefined) spaces.set(space, String(who));
  return spaces.get(space) ?? `cr3 ${space}`;
}

/**
 * Where a record is drawn: lanes by key, with their names.
 * @param {Trace} trace
 * @param {number} index
 * @param {Map<string, string>} spaces
 * @returns {[Sort, string, string][]}
 */
function places(trace, index, spaces) {
  const shape = trace.shape(index);
  const { kind } = shape;
  if (kind === "scenario-begin" || kind === "scenario-end") return [["scenario", "scenarios", "scenarios"]];
  if (kind === "mark") return [["other", "marks", "marks"]];
  if (kind === "console" || kind === "oops") return [["other", "console", "console"]];
  const device = shape.function ?? shape.bdf;
  if (EFFECTS.has(kind) && device !== null) return [["device", device, trace.functions.get(device)?.name ?? device]];
  const process = processOf(trace, index, spaces);
  const vcpu = trace.property("vcpu", index);
  /** @type {[Sort, string, string][]} */
  const found = [];
  if (vcpu !== undefined) found.push(["vcpu", `vcpu ${vcpu}`, `vCPU ${vcpu}`]);
  if (process !== undefined) found.push(["process", `process ${process}`, process]);
  if (found.length > 0) return found;
  return device === null ? [["other", "machine", "machine"]] : [["device", device, trace.functions.get(device)?.name ?? device]];
}

/**
 * @param {Trace} trace
 * @param {number} index
 */
function drawnAs(trace, index) {
  const { kind } = trace.shape(index);
  if (kind === "read" || kind === "write") return `${kind} ${trace.property("cpl", index) === 3 ? "user" : "kernel"}`;
  return DRAWN[kind] ?? "rest";
}

/**
 * All lanes of a trace, in their order: scenarios, vCPUs, devices, processes, and what is of none of them.
 * @param {Trace} trace
 * @returns {Lane[]}
 */
export function lanesOf(trace) {
  /** @type {Map<string, Lane>} */
  const lanes = new Map();
  const spaces = new Map();
  let processes = 0;
  /** @type {(sort: Sort, key: string, name: string) => Lane} */
  const lane = (sort, key, name) => {
    const known = lanes.get(key);
    if (known) return known;
    if (sort === "process" && key !== "processes" && ++processes > PROCESSES_MAX) return lane(sort, "processes", "other processes");
    /** @type {Lane} */
    const made = { sort, name, key, marks: new Map(), spans: new Map() };
    lanes.set(key, made);
    return made;
  };
  // Records of a shape have the same place: where its address space is what tells, so is the mapping, both part of the shape.
  /** @type {(Put[] | undefined)[]} */
  const known = new Array(trace.shapes.length);
  /** @type {Map<Lane, Growing>} */
  const growing = new Map();
  /** @type {(index: number) => Put[]} */
  const put = (index) => {
    const { kind } = trace.shape(index);
    const as = drawnAs(trace, index);
    const syscall = /** @type {string | undefined} */ (trace.property("syscall", index));
    const what = kind.startsWith("scenario") ? "scenario" : kind.startsWith("isr") ? "handler" : null;
    return places(trace, index, spaces).map(([sort, key, name]) => {
      const into = lane(sort, key, name);
      let grows = growing.get(into);
      if (!grows) growing.set(into, (grows = { lists: new Map(), call: null, open: { scenario: [], handler: [] } }));
      let list = grows.lists.get(as);
      if (!list && !ENDS.has(kind)) grows.lists.set(as, (list = { at: new Uint32Array(16), length: 0 }));
      return { lane: into, grows, list: ENDS.has(kind) || !list ? null : list, syscall, what, busy: kind === "busy", begins: kind === "isr" || kind === "scenario-begin" };
    });
  };
  for (let index = 0; index < trace.count; index++) {
    const shape = trace.shapeOf[index];
    for (const one of known[shape] ?? (known[shape] = put(index))) {
      const { grows } = one;
      if (one.list) push(one.list, index);
      if (grows.call && grows.call.name === one.syscall) grows.call.span.to = index + 1;
      else if (one.syscall !== undefined) grows.call = { name: one.syscall, span: span(one.lane, "call", index, index + 1) };
      else grows.call = null;
      if (one.busy) span(one.lane, "busy", index, whenDone(trace, index));
      if (one.what === null) continue;
      if (one.begins) grows.open[one.what].push(span(one.lane, one.what, index, trace.count));
      else {
        const ended = grows.open[one.what].pop();
        if (ended) ended.to = index + 1;
      }
    }
  }
  for (const [lane, { lists }] of growing) for (const [as, { at, length }] of lists) lane.marks.set(as, at.slice(0, length));
  // Devices beside vCPUs: arrows lead from one to the other.
  const order = ["scenario", "vcpu", "device", "process", "other"];
  const numeric = new Intl.Collator("en", { numeric: true });
  return [...lanes.values()].sort((one, other) => order.indexOf(one.sort) - order.indexOf(other.sort) || (one.sort === "process" ? 0 : numeric.compare(one.key, other.key)));
}

/**
 * Begins a span of a lane.
 * @param {Lane} lane
 * @param {string} what
 * @param {number} from
 * @param {number} to
 */
function span(lane, what, from, to) {
  const made = { from, to, index: from };
  const list = lane.spans.get(what);
  if (list) list.push(made);
  else lane.spans.set(what, [made]);
  return made;
}

/**
 * @param {Indices} list
 * @param {number} index
 */
function push(list, index) {
  if (list.length === list.at.length) {
    const wider = new Uint32Array(2 * list.length);
    wider.set(list.at);
    list.at = wider;
  }
  list.at[list.length++] = index;
}

/**
 * The first record after a device's work is done.
 * @param {Trace} trace
 * @param {number} index
 */
function whenDone(trace, index) {
  const times = /** @type {Float64Array} */ (trace.columns.get("time"));
  const done = times[index] + Number(trace.columns.get("busy")?.[index] ?? 0);
  let low = index + 1, high = trace.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < done) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * What a lane holds, in words.
 * @param {Lane} lane
 */
export function contents(lane) {
  const records = [...lane.marks.values()].reduce((sum, list) => sum + list.length, 0);
  const scenarios = lane.spans.get("scenario")?.length ?? 0;
  return scenarios > 0 ? `${lane.name}: ${number(scenarios)}` : `${lane.name}: ${number(records)} records`;
}
