// Lanes of the timeline: which records are in which, as what, in order.

import { number } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./data.js").Shape} Shape */
/** @typedef {{ from: number, to: number, index: number }} Span Places `from` up to `to`, of the record at `index`. */
/** @typedef {"scenario" | "vcpu" | "process" | "device" | "other"} Sort */
/** @typedef {{ sort: Sort, name: string, key: string, marks: Map<string, Uint32Array>, spans: Map<string, Span[]> }} Lane */

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
 * All lanes of a trace, in their order: scenarios, vCPUs, processes, devices, and what is of none of them.
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
  // Records of a shape have the same place but for address spaces, which are told by the mapping: part of the shape, too.
  /** @type {({ lane: Lane, as: string, syscall: string | undefined, spans: "scenario" | "handler" | undefined }[] | undefined)[]} */
  const known = new Array(trace.shapes.length);
  /** @type {Map<Lane, Map<string, { at: Uint32Array, length: number }>>} */
  const growing = new Map();
  /** @type {Map<Lane, { name: string, span: Span }>} */
  const calls = new Map();
  /** @type {Map<Lane, Map<string, Span[]>>} */
  const open = new Map();
  /** @type {(lane: Lane, what: string, span: Span) => void} */
  const span = (lane, what, span) => {
    const list = lane.spans.get(what);
    if (list) list.push(span);
    else lane.spans.set(what, [span]);
  };
  for (let index = 0; index < trace.count; index++) {
    const shape = trace.shapeOf[index];
    const { kind } = trace.shapes[shape];
    let put = known[shape];
    if (!put) {
      const as = drawnAs(trace, index);
      const syscall = /** @type {string | undefined} */ (trace.property("syscall", index));
      const spanning = kind.startsWith("scenario") ? "scenario" : kind.startsWith("isr") ? "handler" : undefined;
      put = known[shape] = places(trace, index, spaces).map(([sort, key, name]) => ({ lane: lane(sort, key, name), as, syscall, spans: spanning }));
    }
    for (const { lane, as, syscall, spans: what } of put) {
      if (!ENDS.has(kind)) push(growing, lane, as, index);
      const call = calls.get(lane);
      if (call && call.name === syscall) call.span.to = index + 1;
      else if (syscall !== undefined) {
        const began = { from: index, to: index + 1, index };
        span(lane, "call", began);
        calls.set(lane, { name: syscall, span: began });
      } else if (call) calls.delete(lane);
      if (kind === "busy") span(lane, "busy", { from: index, to: whenDone(trace, index), index });
      if (what === undefined) continue;
      let stacks = open.get(lane);
      if (!stacks) open.set(lane, (stacks = new Map()));
      const stack = stacks.get(what) ?? [];
      stacks.set(what, stack);
      if (kind === "isr" || kind === "scenario-begin") {
        const began = { from: index, to: trace.count, index };
        span(lane, what, began);
        stack.push(began);
      } else {
        const ended = stack.pop();
        if (ended) ended.to = index + 1;
      }
    }
  }
  for (const [lane, kinds] of growing) for (const [as, { at, length }] of kinds) lane.marks.set(as, at.slice(0, length));
  const order = ["scenario", "vcpu", "process", "device", "other"];
  const numeric = new Intl.Collator("en", { numeric: true });
  return [...lanes.values()].sort((one, other) => order.indexOf(one.sort) - order.indexOf(other.sort) || (one.sort === "process" ? 0 : numeric.compare(one.key, other.key)));
}

/**
 * @param {Map<Lane, Map<string, { at: Uint32Array, length: number }>>} growing
 * @param {Lane} lane
 * @param {string} as
 * @param {number} index
 */
function push(growing, lane, as, index) {
  let kinds = growing.get(lane);
  if (!kinds) growing.set(lane, (kinds = new Map()));
  let list = kinds.get(as);
  if (!list) kinds.set(as, (list = { at: new Uint32Array(16), length: 0 }));
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
 * The first place of a sorted list that is not below a number.
 * @param {Uint32Array} list
 * @param {number} from
 */
export function lowest(list, from) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < from) low = middle + 1;
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
