// One access as a drawing, or two side by side.

import { byId, element, facts, recordLink } from "./dom.js";
import { address, counted, extract, hex, place, registerName, size, summary, time, value, valueName } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./data.js").Entry} Entry */
/** @typedef {{ label: string, items: (Node | string)[], key: string | null }} Row */
/** @typedef {{ title: string, rows: Row[] }} Layer */

/**
 * What bits of page-table entries mean for an access to a device, in the order in which they are told: Intel SDM volume 3, section
 * "Paging".
 */
const BITS = /** @type {Record<string, string>} */ ({
  U: "ring 3 may use it",
  W: "may be written",
  PWT: "page write-through: with PCD and PAT it picks the PAT entry that gives the memory type; alone entry 1, in Linux WC: write-combining",
  PCD: "page cache disable: with PWT and PAT it picks the PAT entry that gives the memory type; alone entry 2, in Linux UC-: uncached",
  PAT: "with PCD and PWT it picks the PAT entry that gives the memory type",
  PS: "page size: the walk ends here, with a large page",
  A: "accessed: the processor has used this entry",
  D: "dirty: the page was written",
  G: "global: kept in the TLB when CR3 changes",
  NX: "no instruction may be fetched from it",
});

/** What it means that they are clear. */
const CLEAR = /** @type {Record<string, string>} */ ({
  U: "only ring 0 may use it",
  W: "may only be read",
  G: "leaves the TLB when CR3 changes",
  NX: "instructions may be fetched from it",
});

/** The same in tables above the last one, whose entries lead to a table. */
const ABOVE = /** @type {Record<string, string>} */ ({
  U: "ring 3 may pass",
  W: "writes may pass",
  PWT: "of the next table, not of the device's page",
  PCD: "of the next table, not of the device's page",
});
const CLEAR_ABOVE = /** @type {Record<string, string>} */ ({ U: "only ring 0 may pass", W: "only reads may pass" });

const STACK = "Stack, the outermost first";
/** Layers in their order. */
const TITLES = [STACK, "Code", "Virtual address", "Page walk", "Bus", "Register"];
/** So many innermost frames of a stack are shown; those outside them are folded. */
const FRAMES = 6;

/** Bits that say that an entry was used: two accesses that differ in nothing else have them as they come. */
const USED = new Set(["A", "D"]);

/**
 * Bits of an entry in words. Beside the same table's entry of another access, each bit is compared: one that differs is marked,
 * also where it is clear.
 * @param {Entry} entry
 * @param {boolean} last
 * @param {Entry | undefined} beside
 */
function bits(entry, last, beside) {
  const set = (/** @type {string} */ bit) => entry.bits.includes(bit);
  const differs = (/** @type {string} */ bit) => beside !== undefined && !USED.has(bit) && beside.bits.includes(bit) !== set(bit);
  const told = Object.keys(BITS).filter((bit) => set(bit) || bit === "U" || bit === "W" || differs(bit));
  return told.map((bit) => {
    const words = set(bit) ? ((last ? undefined : ABOVE[bit]) ?? BITS[bit]) : ((last ? undefined : CLEAR_ABOVE[bit]) ?? CLEAR[bit]);
    const meaning = `${set(bit) ? "" : "not "}${bit}${words ? `: ${words}` : ""}`;
    return element("li", {}, differs(bit) ? element("span", { class: "differs" }, meaning) : meaning);
  });
}

/**
 * @param {Trace} trace
 * @param {number} index
 * @param {number} [other] one beside it
 * @returns {Layer[]}
 */
export function layers(trace, index, other) {
  const lasting = trace.lasting(index);
  if (!lasting) return [];
  /** @type {(facts: import("./data.js").Fact[] | undefined, aside?: boolean) => Row[]} */
  const rows = (list, aside = false) =>
    (list ?? []).map(({ label, items }) => ({ label, items: [items.join(", ")], key: aside ? null : items.join("\n") }));
  const labelled = (/** @type {string} */ label) => lasting.layers.flat().find((fact) => fact.label === label);
  const own = (/** @type {string} */ name) => trace.own(name, index);
  /** @type {Layer[]} */
  const found = [];
  if (lasting.way.length > 0) found.push({ title: STACK, rows: rows(lasting.way, true) });
  found.push({ title: "Code", rows: rows(lasting.layers[0]).map((row) => (row.label === "code" || row.label === "instruction" ? { ...row, key: null } : row)) });
  const gva = own("gva");
  if (gva !== undefined) {
    const mapping = lasting.layers.find((layer) => layer.some((fact) => fact.label === "mapping"));
    found.push({
      title: "Virtual address",
      rows: [{ label: "virtual", items: [element("code", {}, address(BigInt(gva), true))], key: String(gva) }, ...rows(mapping)],
    });
  }
  const table = lasting.page_table;
  if (table) {
    const entries = other === undefined ? undefined : trace.lasting(other)?.page_table?.entries;
    const walk = table.entries.map((entry, at) => ({
      label: `${entry.table}[${entry.index}]`,
      items: [element("div", { class: "entry" }, element("code", {}, `${entry.value.replace(/^0x/, "")} → ${entry.address.replace(/^0x/, "")}`), element("ul", {}, ...bits(entry, at + 1 === table.entries.length, entries?.find((one) => one.table === entry.table))))],
      // Marked as a whole only beside a walk that has no such table.
      key: entry.table,
    }));
    const rest = ["page", "rights", "memory type"].map(labelled).filter((fact) => fact !== undefined);
    found.push({ title: "Page walk", rows: [{ label: "CR3", items: [element("code", {}, table.cr3.replace(/^0x/, ""))], key: null }, ...walk, ...rows(rest)] });
  }
  const gpa = own("gpa");
  const port = trace.property("port", index);
  const bus = lasting.layers.find((layer) => layer.some((fact) => fact.label === "KVM exit"));
  found.push({
    title: "Bus",
    rows: [
      gpa === undefined ? { label: "port", items: [element("code", {}, hex(/** @type {bigint} */ (port ?? 0n)))], key: String(port) } : { label: "physical", items: [element("code", {}, address(BigInt(gpa)))], key: String(gpa) },
      ...rows(bus),
    ],
  });
  found.push({ title: "Register", rows: register(trace, index) });
  return found;
}

/**
 * The register with its fields, before and after.
 * @param {Trace} trace
 * @param {number} index
 * @returns {Row[]}
 */
function register(trace, index) {
  const found = trace.register(index);
  const shape = trace.shape(index);
  const name = `${place(trace, index)} ${registerName(trace, index)}`.trim();
  const content = BigInt(trace.own("value", index) ?? 0);
  /** @type {Row[]} */
  const rows = [{ label: "register", items: [found ? [name, found.access, found.memory ? "memory" : counted(found.size, "byte"), found.doc].filter(Boolean).join(", ") : name || "none"], key: name }];
  rows.push({ label: shape.kind, items: [`${value(trace, index)}, ${counted(Number(trace.property("width", index)), "byte")}`], key: null });
  const outcome = trace.property("outcome", index);
  if (outcome !== "ok") rows.push({ label: "refused", items: [String(outcome)], key: String(outcome) });
  const change = found ? changeOf(trace, index, found.offset) : -1;
  const before = change < 0 ? undefined : BigInt(trace.own("old", change) ?? 0);
  const after = change < 0 ? undefined : BigInt(trace.own("value", change) ?? 0);
  if (before !== undefined && after !== undefined) rows.push({ label: "value", items: [`${hex(before)} → ${hex(after)}`], key: null });
  const whole = found && !found.memory && found.offset === Number(trace.own("offset", index)) && outcome === "ok";
  for (const field of whole ? (found.fields ?? []) : []) {
    const held = extract(field, content);
    const bits = field.width === 1 ? `[${field.lsb}]` : `[${field.lsb + field.width - 1}:${field.lsb}]`;
    const meaning = valueName(field, held);
    const [old, now] = before === undefined || after === undefined ? [held, held] : [extract(field, before), extract(field, after)];
    const shown = old === now ? hex(held) : `${hex(old)} → ${hex(now)}`;
    rows.push({ label: `${field.name}${bits}`, items: [[shown, meaning, field.doc].filter(Boolean).join(", ")], key: String(held) });
  }
  const service = Number(trace.own("service", index) ?? 0);
  if (service > 0) rows.push({ label: "served in", items: [`${time(service)} of the host`], key: null });
  return rows;
}

/**
 * The first record that says that an access changed the register at an offset; -1 if none does.
 * @param {Trace} trace
 * @param {number} index
 * @param {number} offset
 */
function changeOf(trace, index, offset) {
  const { bdf, region } = trace.shape(index);
  return followers(trace, index).find((at) => {
    const shape = trace.shape(at);
    return shape.kind === "change" && shape.bdf === bdf && shape.region === region && Number(trace.own("offset", at)) === offset;
  }) ?? -1;
}

/**
 * Records that an access led to, directly or by an interrupt, among those soon after it.
 * @param {Trace} trace
 * @param {number} index
 */
function followers(trace, index) {
  const seq = trace.seqs[index];
  const found = [];
  for (let at = index + 1; at < Math.min(trace.count, index + 2000) && found.length < 40; at++) {
    if (trace.own("cause", at) === seq) found.push(at);
  }
  return found;
}

/** The drawing of one access or two. */
export class Access {
  /**
   * @param {Trace} trace
   * @param {import("./list.js").List} list
   */
  constructor(trace, list) {
    this.trace = trace;
    this.list = list;
    this.left = /** @type {HTMLInputElement} */ (byId("left"));
    this.right = /** @type {HTMLInputElement} */ (byId("right"));
    byId("which").addEventListener("submit", (event) => {
      event.preventDefault();
      const [left, right] = [this.left.value.trim(), this.right.value.trim()];
      const hash = right === "" ? `record-${left}` : `record-${left}-${right}`;
      if (location.hash === `#${hash}`) this.show(Number(left), right === "" ? null : Number(right));
      else location.hash = hash;
    });
  }

  /**
   * @param {number} left
   * @param {number | null} right
   */
  show(left, right) {
    const { trace } = this;
    this.left.value = String(left);
    this.right.value = right === null ? "" : String(right);
    const indices = [left, ...(right === null ? [] : [right])].map((seq) => trace.indexOf(seq));
    const missing = indices.findIndex((index) => index < 0);
    byId("access-note").textContent = missing >= 0 ? `The page has no record ${missing === 0 ? left : right}.` : indices.length === 2 ? "What differs is marked. Code, value and time always do." : "";
    if (missing >= 0) {
      byId("explained").replaceChildren();
      return;
    }
    this.list.choose(indices[0]);
    const drawn = indices.map((index, at) => layers(trace, index, indices[1 - at]));
    const keys = drawn.map((list) => new Map(list.flatMap((layer) => layer.rows.map((row) => [`${layer.title}/${row.label.replace(/\[.*/, "")}`, row.key]))));
    // Layers that only one of them has leave room beside them: the others are at one height.
    const titles = TITLES.filter((title) => drawn.some((list) => list.some((layer) => layer.title === title)));
    const followed = indices.map((index) => this.after(index));
    const columns = indices.map((index, at) => {
      const other = indices.length === 2 ? keys[1 - at] : null;
      const boxes = titles.map((title) => {
        const layer = drawn[at].find((one) => one.title === title);
        return layer ? this.layer(layer, other) : element("div", { class: "absent" });
      });
      const after = followed[at] ?? (followed.some((one) => one !== null) ? element("div", { class: "absent" }) : null);
      const rows = [this.heading(index), ...boxes, after].filter((one) => one !== null);
      const column = element("div", { class: "column" }, ...rows);
      column.style.gridRow = `span ${rows.length}`;
      return column;
    });
    byId("explained").replaceChildren(element("div", { class: "columns" }, ...columns));
  }

  /** @param {number} index */
  heading(index) {
    const { trace } = this;
    const scenario = trace.property("scenario", index);
    const vcpu = trace.property("vcpu", index);
    const circumstances = [
      ...(scenario === undefined ? [] : [`scenario ${scenario}`]),
      ...(vcpu === undefined ? [] : [`vCPU ${vcpu}`]),
      `${time(Number(trace.own("time", index)))} device clock`,
    ];
    const cause = trace.own("cause", index);
    return element(
      "div",
      {},
      element("h3", {}, `${trace.seqs[index]}: ${summary(trace, index)}`),
      element("p", { class: "aside" }, circumstances.join(", "), ...(cause === undefined ? [] : [", because of ", recordLink(Number(cause))])),
    );
  }

  /**
   * @param {Layer} layer
   * @param {Map<string, string | null> | null} other
   */
  layer(layer, other) {
    const rows = layer.rows.map((row) => {
      const key = `${layer.title}/${row.label.replace(/\[.*/, "")}`;
      const differs = other !== null && row.key !== null && other.get(key) !== row.key;
      const items = differs ? [element("div", { class: "differs" }, ...row.items)] : row.items;
      return /** @type {[string, (Node | string)[]]} */ ([row.label, items]);
    });
    const outer = layer.title === STACK ? rows.slice(0, -FRAMES).filter(([label]) => label !== "process") : [];
    const inner = rows.filter((row) => !outer.includes(row));
    const folded = outer.length > 0 ? element("details", {}, element("summary", {}, counted(outer.length, "outer frame")), facts(outer)) : null;
    return element("div", { class: "layer" }, element("h4", {}, layer.title), folded, facts(inner));
  }

  /**
   * What followed; `null` if nothing did.
   * @param {number} index
   */
  after(index) {
    const { trace } = this;
    const followed = followers(trace, index);
    if (followed.length === 0) return null;
    const began = Number(trace.own("time", index));
    const rows = followed.map((at) => /** @type {[string, (Node | string)[]]} */ ([
      `+${time(Number(trace.own("time", at)) - began)}`,
      [recordLink(trace.seqs[at], String(trace.seqs[at])), ` ${summary(trace, at)}`],
    ]));
    return element("div", { class: "layer" }, element("h4", {}, "What it led to"), facts(rows));
  }
}
