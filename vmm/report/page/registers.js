// Registers of each BAR: how often each was read and written, and what of it nobody touched.

import { byId, element } from "./dom.js";
import { counted, number } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {{ reads: number, writes: number, changed: bigint }} Use */

/**
 * Draws a map of each region that accesses reached.
 * @param {Trace} trace
 */
export function drawRegisters(trace) {
  /** @type {Map<string, Map<number, Use>>} */
  const regions = new Map();
  for (let index = 0; index < trace.count; index++) {
    if (!trace.isAccess(index)) continue;
    const shape = trace.shape(index);
    if (shape.bdf === null || shape.region === null || shape.region === "CONFIG") continue;
    const key = `${shape.bdf} ${shape.region}`;
    const register = trace.register(index);
    if (!register) continue;
    let uses = regions.get(key);
    if (!uses) regions.set(key, (uses = new Map()));
    let use = uses.get(register.offset);
    if (!use) uses.set(register.offset, (use = { reads: 0, writes: 0, changed: 0n }));
    if (shape.kind === "read") use.reads++;
    else {
      use.writes++;
    }
    use.changed |= BigInt(trace.own("value", index) ?? 0);
  }
  const parts = [...regions].map(([key, uses]) => region(trace, key, uses));
  byId("heat").replaceChildren(...(parts.length > 0 ? parts : [element("p", { class: "aside" }, "No access reached a BAR.")]));
}

/**
 * @param {Trace} trace
 * @param {string} key
 * @param {Map<number, Use>} uses
 */
function region(trace, key, uses) {
  const [bdf, name] = key.split(" ");
  const most = Math.max(...[...uses.values()].map(({ reads, writes }) => reads + writes));
  const cells = trace.registers(bdf, name).map((register) => {
    const use = uses.get(register.offset);
    const count = use ? use.reads + use.writes : 0;
    // In steps of a factor: a loop over one register leaves others in sight.
    const heat = count === 0 ? 0 : Math.max(1, Math.round((5 * Math.log(1 + count)) / Math.log(1 + most)));
    const fields = (register.fields ?? []).filter((field) => field.name !== register.name);
    const untouched = use ? fields.filter((field) => ((use.changed >> BigInt(field.lsb)) & ((1n << BigInt(field.width)) - 1n)) === 0n) : [];
    const words = use ? `${counted(use.reads, "read")}, ${counted(use.writes, "write")}` : "not touched";
    return element(
      "div",
      { class: `cell ${use ? `heat-${heat}` : "untouched"}`, title: register.doc ?? "" },
      element("b", {}, register.name),
      `+0x${register.offset.toString(16).padStart(3, "0")} · ${words}`,
      untouched.length > 0 ? element("div", { class: "aside" }, `always 0: ${untouched.map((field) => field.name).join(", ")}`) : null,
    );
  });
  const device = trace.functions.get(bdf)?.name ?? "";
  return element("div", {}, element("h3", {}, `${bdf} ${device} ${name}, ${number(uses.size)} of ${counted(cells.length, "register")} touched`), element("div", { class: "cells" }, ...cells));
}
