// The answer to what ioremap and mmap do, drawn from this trace.

import { byId, element, recordLink } from "./dom.js";
import { both, faults, types } from "./picture.js";
import { address, counted, size } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./picture.js").MappingUse} MappingUse */
/** @typedef {import("./picture.js").Resource} Resource */

/**
 * Tells it, if the trace has a BAR that kernel and user reached at once.
 * @param {Trace} trace
 */
export function drawAnswer(trace) {
  const shown = both(trace.meta.maps.resources);
  if (!shown) return;
  const { resource, kernel, user } = shown;
  const last = BigInt(resource.address) + BigInt(resource.size) - 1n;
  const code = (/** @type {string} */ text, side = "") => element("code", { class: side }, text);
  byId("answer-text").append(
    "The driver maps the device into the kernel by ", code(kernel.call, "kernel"), ", a program into itself by ", code(user.call, "user"),
    `. Both lead to the same bus addresses, `, code(`${address(resource.address)}–${address(last)}`, "bus"),
    `, which are ${resource.region} of ${resource.device}: what one writes, the other reads. ${sharing(trace, resource, kernel, user)}`,
    "Neither copies anything, and once its page is filled no access needs the kernel’s help.",
  );
  const rows = [
    ["virtual address", ...[kernel, user].map((one) => [code(`${address(one.virtual_address, true)}`), ` ${size(one.length)}`])],
    ["bus address", ...[kernel, user].map((one) => [code(address(one.physical_address))])],
    ["who, and when", ...[kernel, user].map((one) => [one.who, ...(one.made === null ? [] : [", ", recordLink(one.made)])])],
    ["type, and why", ...[kernel, user].map((one) => [why(trace, one)])],
    ["who faults", [`${faults(kernel)}${kernel.on_fault ? "" : ": filled at once"}`], [`${faults(user)}${user.on_fault ? ": filled on first touch" : ": filled at once"}`, ...otherFaults(resource, user)]],
    ["kernel entries", ["none: it is the kernel"], entries(resource, user)],
    ["accesses", ...[kernel, user].map((one) => [counted(one.accesses, "access", "accesses"), ...(one.first === null ? [] : [", the first ", recordLink(one.first)])])],
  ];
  byId("answer-table").append(
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, element("td", {}), element("th", { class: "kernel", scope: "col" }, `kernel: ${kernel.path}`), element("th", { class: "user", scope: "col" }, `user: ${user.path}`))),
      element("tbody", {}, ...rows.map(([head, left, right]) => element("tr", {}, element("th", { scope: "row" }, /** @type {string} */ (head)), element("td", {}, ...left), element("td", {}, ...right)))),
    ),
  );
  byId("answer").hidden = false;
}

/**
 * Memory type, and where it comes from, by its first access.
 * @param {Trace} trace
 * @param {MappingUse} mapping
 */
function why(trace, mapping) {
  const index = mapping.first === null ? -1 : trace.indexOf(mapping.first);
  const reason = index < 0 ? undefined : trace.lasting(index)?.layers.flat().find((fact) => fact.label === "memory type");
  return reason ? `${types(mapping)}: ${reason.items.join(", ")}` : types(mapping);
}

/**
 * Registers that were accessed through both mappings.
 * @param {Trace} trace
 * @param {Resource} resource
 * @param {MappingUse} kernel
 * @param {MappingUse} user
 */
function sharing(trace, resource, kernel, user) {
  const names = [kernel, user].map((mapping) => {
    const found = new Set();
    const end = trace.from((mapping.last ?? 0) + 1);
    for (let index = trace.from(mapping.first ?? 0); index < end; index++) {
      const shape = trace.shape(index);
      const here = trace.isAccess(index) && shape.bdf === resource.bdf && shape.region === resource.region;
      if (here && (trace.property("cpl", index) === 3) === mapping.user) found.add(trace.register(index)?.name);
    }
    return found;
  });
  const shared = [...names[0]].filter((name) => name !== undefined && names[1].has(name));
  return shared.length > 0 ? `Here both use ${shared.slice(0, 3).join(", ")}. ` : "";
}

/**
 * Mappings of this BAR that were filled by faults, where this one wasn't.
 * @param {Resource} resource
 * @param {MappingUse} user
 */
function otherFaults(resource, user) {
  const other = user.on_fault ? undefined : resource.mappings.find((one) => one.user && one.on_fault && one.faults_resolved > 0);
  if (!other || other.made === null) return [];
  return ["; one that is filled on first touch, ", recordLink(other.made), `, took ${counted(other.faults_resolved, "fault")} for ${counted(other.accesses, "access", "accesses")}`];
}

/**
 * @param {Resource} resource
 * @param {MappingUse} user
 */
function entries(resource, user) {
  const told = (/** @type {MappingUse} */ one) => `${one.kernel_entries} in ${counted(one.accesses, "access", "accesses")}`;
  if (user.kernel_entries !== null) return [told(user)];
  const other = resource.mappings.find((one) => one.user && one.kernel_entries !== null);
  if (!other || other.made === null) return ["not counted in this trace"];
  return [`${told(other)}, counted for the mapping of `, recordLink(other.made)];
}
