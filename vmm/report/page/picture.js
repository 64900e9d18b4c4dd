// The picture: kernel virtual, bus and user virtual addresses, and what leads from one to the other at a moment.

import { byId, drawn, element, facts, recordLink } from "./dom.js";
import { alive, begin, both, decoded, end, faults, lastSights, types } from "./mappings.js";
import { address, counted, size, summary } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./mappings.js").MappingUse} MappingUse */
/** @typedef {import("./mappings.js").Resource} Resource */

/** The picture and its slider. */
export class Picture {
  /** @param {Trace} trace */
  constructor(trace) {
    this.trace = trace;
    /** @type {Resource[]} */
    this.resources = trace.meta.maps.resources.filter((/** @type {Resource} */ one) => one.space === "memory");
    /** Processes by the moment after which nothing more comes of them. */
    this.gone = lastSights(trace, trace.meta.maps.resources);
    const changes = this.resources.flatMap((resource) => [
      ...resource.decoded.flatMap(({ from, until }) => [from, until]),
      ...resource.mappings.flatMap((one) => [begin(one), end(one)]),
    ]);
    this.moments = [...new Set([0, ...changes.filter((seq) => seq !== null), ...this.gone.keys(), ...stops(trace)])].sort((one, other) => one - other);
    this.slider = /** @type {HTMLInputElement} */ (byId("moment"));
    this.slider.max = String(this.moments.length - 1);
    this.slider.addEventListener("input", () => this.draw());
    byId("earlier").addEventListener("click", () => this.step(-1));
    byId("later").addEventListener("click", () => this.step(1));
    let width = 0;
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width !== width) {
        width = contentRect.width;
        this.draw();
      }
    }).observe(byId("drawing"));
    this.slider.value = String(this.best());
    this.draw();
  }

  /** The moment that shows most: when kernel and user reach the same BAR, else the first with the most mappings that are used. */
  best() {
    const shown = both(this.resources);
    if (shown) return this.moments.findLastIndex((seq) => seq <= shown.seq);
    /** @type {Map<number, number>} */
    const changes = new Map();
    const add = (/** @type {number} */ seq, /** @type {number} */ by) => changes.set(seq, (changes.get(seq) ?? 0) + by);
    for (const mapping of this.resources.flatMap((one) => one.mappings).filter((one) => one.accesses > 0)) {
      add(begin(mapping), 1);
      add(end(mapping) ?? Infinity, -1);
    }
    let [there, most, best] = [0, 0, 0];
    this.moments.forEach((seq, at) => {
      there += changes.get(seq) ?? 0;
      if (there > most) [most, best] = [there, at];
    });
    return best;
  }

  /** @param {number} by */
  step(by) {
    this.slider.value = String(Number(this.slider.value) + by);
    this.draw();
  }

  draw() {
    const at = Number(this.slider.value);
    const seq = this.moments[at];
    const index = this.trace.indexOf(seq);
    const happens = seq === 0 ? "before the first record" : index < 0 ? `at record ${seq}` : `at record ${seq}: ${summary(this.trace, index)}`;
    const gone = (this.gone.get(seq) ?? []).map((who) => `. Nothing more comes of ${who}: the process has ended, or is done with the device.`);
    const what = `${happens}${gone.join("")}`;
    byId("moment-text").textContent = `Moment ${at + 1} of ${this.moments.length}, ${what}`;
    this.slider.setAttribute("aria-valuetext", what);
    byId("drawing").replaceChildren(this.drawing(seq));
    this.tell(null);
  }

  /** @param {number} seq */
  drawing(seq) {
    const width = Math.max(byId("drawing").clientWidth, 320);
    const narrow = width < 560;
    const column = Math.min(narrow ? width * 0.3 : width * 0.25, 250);
    const middle = (width - column) / 2;
    const order = (/** @type {string} */ one, /** @type {string} */ other) => (BigInt(one) < BigInt(other) ? -1 : 1);
    const resources = this.resources.filter((one) => decoded(one, seq) || one.mappings.some((mapping) => isShown(mapping, seq)));
    resources.sort((one, other) => order(one.address, other.address));
    const rows = resources.map((resource) => {
      const here = resource.mappings.filter((one) => isShown(one, seq)).sort((one, other) => order(one.virtual_address, other.virtual_address));
      return { resource, kernel: here.filter((one) => !one.user), user: here.filter((one) => one.user) };
    });
    const [box, gap, top] = [62, 12, 34];
    let y = top;
    /** @type {SVGElement[]} */
    const parts = [];
    const heads = narrow ? ["kernel", "bus", "user"] : ["kernel virtual", "bus", "user virtual"];
    heads.forEach((head, at) => parts.push(drawn("text", { class: "head", x: [0, middle, width - column][at], y: 16 }, head)));
    for (const { resource, kernel, user } of rows) {
      // What nothing leads to is told in two lines, if there is room for its size beside its name.
      const mapped = Math.max(kernel.length, user.length);
      const low = mapped === 0 && !narrow;
      const height = low ? 44 : Math.max(mapped, 1) * (box + gap) - gap;
      const gone = !decoded(resource, seq);
      for (const [side, list] of /** @type {["kernel" | "user", MappingUse[]][]} */ ([["kernel", kernel], ["user", user]])) {
        list.forEach((mapping, at) => {
          const from = y + at * (box + gap);
          parts.push(this.mapping(mapping, resource, { side, x: side === "kernel" ? 0 : width - column, y: from, column, box, middle, top: y, height, narrow, ends: this.ends(mapping, seq), begins: begin(mapping) === seq, alone: list.length === 1 }));
        });
      }
      parts.push(
        drawn(
          "g",
          {},
          drawn("rect", { class: "bar-box", x: middle, y, width: column, height, rx: 5, "stroke-dasharray": gone ? "4 4" : "none" }),
          drawn("text", { class: "bus-name", x: middle + 9, y: y + 20 }, `${resource.device} ${resource.region}`),
          drawn("text", { x: middle + 9, y: y + 37 }, address(resource.address)),
          drawn("text", { class: "dim", x: low ? middle + column - 9 : middle + 9, y: y + (low ? 20 : 53), "text-anchor": low ? "end" : "start" }, gone ? "not decoded" : size(resource.size)),
        ),
      );
      y += height + 2 * gap;
    }
    if (rows.length === 0) {
      parts.push(drawn("text", { class: "dim", x: middle, y: y + 20 }, "nothing decodes"));
      y += 40;
    }
    return drawn("svg", { viewBox: `0 0 ${width} ${y}`, height: y, role: "group", "aria-label": "Mappings at this moment" }, ...parts);
  }

  /**
   * How a mapping ends at a moment; empty if it doesn't.
   * @param {MappingUse} mapping
   * @param {number} seq
   */
  ends(mapping, seq) {
    if (mapping.undone === seq) return "undone here";
    return mapping.user && this.gone.get(seq)?.includes(mapping.who) ? "last seen here" : "";
  }

  /**
   * A mapping as a box with a band into the BAR.
   * @param {MappingUse} mapping
   * @param {Resource} resource
   * @param {{ side: "kernel" | "user", x: number, y: number, column: number, box: number, middle: number, top: number, height: number, narrow: boolean, ends: string, begins: boolean, alone: boolean }} at
   */
  mapping(mapping, resource, { side, x, y, column, box, middle, top, height, narrow, ends, begins, alone }) {
    const [start, end] = [x + (side === "kernel" ? column : 0), middle + (side === "kernel" ? 0 : column)];
    const offset = Number(BigInt(mapping.physical_address) - BigInt(resource.address));
    const first = Math.max(0, offset) / resource.size;
    const last = Math.min(resource.size, Math.max(0, offset) + mapping.length) / resource.size;
    const [upper, lower] = [top + first * height, Math.max(top + last * height, top + first * height + 4)];
    const bend = (start + end) / 2;
    const band = `M${start},${y} C${bend},${y} ${bend},${upper} ${end},${upper} L${end},${lower} C${bend},${lower} ${bend},${y + box} ${start},${y + box} Z`;
    const name = mapping.path + (mapping.announced ? "" : "?");
    const label = `${mapping.call || name} by ${mapping.who || "nobody known"}: ${address(mapping.virtual_address, true)} leads to ${address(mapping.physical_address)} in ${resource.device} ${resource.region}`;
    const digits = address(mapping.virtual_address, true);
    // What it was used for in all, where its band has room for that and crosses no other.
    const told = mapping.accesses === 0 ? ["not used"] : [types(mapping), counted(mapping.accesses, "access", "accesses")];
    const use = !alone || Math.abs(end - start) < 100 ? [] : told.map((line, at) => drawn("text", { class: "use-of", x: bend, y: (y + upper) / 2 + box / 2 - 8 * told.length + 12 + 16 * at }, clipped(line, 20)));
    const group = drawn(
      "g",
      { class: ends ? `${side} ends` : begins ? `${side} begins` : side, tabindex: 0, role: "button", "aria-label": ends ? `${label}, ${ends}` : label },
      drawn("path", { class: "band", d: band }),
      drawn("rect", { class: "box", x: x + 1, y, width: column - 2, height: box, rx: 5 }),
      drawn("text", { class: "name", x: x + 9, y: y + 20 }, name),
      ...use,
      drawn("text", { x: x + 9, y: y + 37 }, narrow && digits.length > 14 ? digits.replace(/^(f{4}|0{4})/, "…") : digits),
      drawn("text", { class: "dim", x: x + 9, y: y + 53 }, clipped(ends || (narrow ? size(mapping.length) : `${size(mapping.length)} · ${mapping.who || "inferred"}`), column / 7.6)),
    );
    const show = () => {
      group.parentElement?.querySelectorAll(".chosen").forEach((one) => one.classList.remove("chosen"));
      group.classList.add("chosen");
      this.tell(mapping, resource);
    };
    for (const event of ["pointerenter", "focus", "click"]) group.addEventListener(event, show);
    return group;
  }

  /**
   * What there is to say of a mapping.
   * @param {MappingUse | null} mapping
   * @param {Resource} [resource]
   */
  tell(mapping, resource) {
    if (!mapping || !resource) {
      byId("mapping").replaceChildren(element("p", { class: "aside" }, "Choose a mapping: who made it, when and what for."));
      return;
    }
    byId("mapping").replaceChildren(element("h3", {}, mapping.call || mapping.path), facts(mappingFacts(this.trace, mapping, resource)));
  }
}

/**
 * Whether a mapping is there at a record, or ends with it.
 * @param {MappingUse} mapping
 * @param {number} seq
 */
function isShown(mapping, seq) {
  return alive(mapping, seq) || end(mapping) === seq;
}

/**
 * Records that say that a program was stopped by a page fault.
 * @param {Trace} trace
 */
function stops(trace) {
  const stop = trace.shapes.map(({ kind }) => kind === "fault-fatal");
  return stop.includes(true) ? Array.from(trace.seqs).filter((_, index) => stop[trace.shapeOf[index]]) : [];
}

/**
 * @param {string} text
 * @param {number} letters
 */
function clipped(text, letters) {
  return text.length > letters ? `${text.slice(0, Math.floor(letters) - 1)}…` : text;
}

/**
 * @param {Trace} trace
 * @param {MappingUse} mapping
 * @param {Resource} resource
 * @returns {[string, (Node | string)[]][]}
 */
function mappingFacts(trace, mapping, resource) {
  /** @type {(seq: number | null, none: string) => (Node | string)[]} */
  const at = (seq, none) => (seq === null ? [none] : [recordLink(seq)]);
  const first = mapping.first === null ? -1 : trace.indexOf(mapping.first);
  const way = first < 0 ? [] : (trace.lasting(first)?.way ?? []);
  const stack = way.filter((fact) => fact.label !== "process").map((fact) => fact.items.join(" "));
  /** @type {[string, (Node | string)[]][]} */
  const rows = [
    ["by", [mapping.who || "nobody announced it: inferred from page walks"]],
    ["from", [element("code", {}, `${address(mapping.virtual_address, true)}, ${size(mapping.length)}`)]],
    ["to", [element("code", {}, address(mapping.physical_address)), ` ${resource.bdf} ${resource.device} ${resource.region}`]],
    ["made", [...at(mapping.made, "in no record"), ...(mapping.undone === null ? [", still there at the end"] : [", undone in ", recordLink(mapping.undone)])]],
    ["filled", [mapping.on_fault ? "on first touch, by a page fault" : "at once"]],
    ["memory type", [types(mapping)]],
    ["accesses", mapping.first === null || mapping.last === null ? ["none"] : [`${counted(mapping.accesses, "access", "accesses")}, from `, recordLink(mapping.first), " to ", recordLink(mapping.last)]],
    ["page faults", [faults(mapping)]],
  ];
  if (mapping.kernel_entries !== null) rows.push(["kernel entries", [String(mapping.kernel_entries)]]);
  if (stack.length > 0) rows.push(["first used in", [element("code", {}, stack.join(" › "))]]);
  return rows;
}
