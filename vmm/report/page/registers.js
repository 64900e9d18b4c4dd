// Registers of each BAR: how often each was read and written, and what of it nobody touched.

import { byId, element } from "./dom.js";
import { counted, extract, number } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {{ reads: number, writes: number, changed: bigint }} Use */

/**
 * Draws a map of each region that accesses reached; a register leads to its records.
 * @param {Trace} trace
 * @param {import("./list.js").List} list
 */
export function drawRegisters(trace, list) {
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
    else use.writes++;
    use.changed |= BigInt(trace.own("value", index) ?? 0);
  }
  const most = Math.max(...[...regions.values()].flatMap((uses) => [...uses.values()].map(({ reads, writes }) => reads + writes)));
  const order = new Intl.Collator("en", { numeric: true });
  const parts = [...regions].sort(([one], [other]) => order.compare(one, other)).map(([key, uses]) => region(trace, list, key, uses, most));
  byId("heat").replaceChildren(...(parts.length > 0 ? parts : [element("p", { class: "aside" }, "No access reached a BAR.")]));
}

/**
 * In steps of a factor: a loop over one register leaves others in sight.
 * @param {number} count
 * @param {number} most
 */
function heat(count, most) {
  return count === 0 ? 0 : Math.max(1, Math.round((5 * Math.log(1 + count)) / Math.log(1 + most)));
}

/**
 * @param {Trace} trace
 * @param {import("./list.js").List} list
 * @param {string} key
 * @param {Map<number, Use>} uses
 * @param {number} most accesses of one register
 */
function region(trace, list, key, uses, most) {
  const [bdf, name] = key.split(" ");
  const cells = trace.registers(bdf, name).map((register) => {
    const use = uses.get(register.offset);
    const place = `+0x${register.offset.toString(16).padStart(3, "0")}`;
    const head = [element("b", {}, register.name), element("span", { class: "aside" }, place)];
    if (!use) return element("div", { class: "cell untouched", title: register.doc ?? "" }, ...head, element("span", {}, "not touched"));
    const fields = (register.fields ?? []).filter((field) => field.name !== register.name);
    const unset = fields.filter((field) => extract(field, use.changed) === 0n);
    const cell = element(
      "button",
      { type: "button", class: `cell heat-${heat(use.reads + use.writes, most)}`, title: register.doc ?? "" },
      ...head,
      element("span", {}, `${counted(use.reads, "read")}, ${counted(use.writes, "write")}`),
      element("span", { class: `use reads heat-${heat(use.reads, most)}` }),
      element("span", { class: `use writes heat-${heat(use.writes, most)}` }),
      unset.length > 0 ? element("span", { class: "aside" }, `never set: ${unset.map((field) => field.name).join(", ")}`) : null,
    );
    cell.addEventListener("click", () => list.look(`access ${name}.${register.name} on ${bdf}`));
    return cell;
  });
  const device = trace.functions.get(bdf)?.name ?? "";
  const touched = element("span", { class: "aside" }, ` ${number(uses.size)} of ${counted(cells.length, "register")} touched`);
  return element("div", {}, element("h3", {}, `${bdf} ${device} ${name}`, touched), element("div", { class: "cells" }, ...cells));
}
