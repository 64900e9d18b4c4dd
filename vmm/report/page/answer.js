// The answer to what ioremap and mmap do, drawn from this trace.

import { byId, element, recordLink } from "./dom.js";
import { both, called, faults, types } from "./mappings.js";
import { address, counted, size } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./mappings.js").MappingUse} MappingUse */
/** @typedef {import("./mappings.js").Resource} Resource */

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
    "The driver maps the device into the kernel by ", code(called(kernel), "kernel"), ", a program into itself by ", code(called(user), "user"),
    ". Both lead to the same bus addresses, ", code(`${address(resource.address)}–${address(last)}`, "bus"),
    `: ${resource.region} of ${resource.device}, a window to its registers. What one writes, the other reads. ${sharing(trace, resource, kernel, user)}`,
    "Neither copies anything, and once its page is filled no access needs the kernel’s help.",
  );
  /** @type {[string, (one: MappingUse) => (Node | string)[]][]} */
  const rows = [
    ["virtual address", (one) => [code(address(one.virtual_address, true)), ` ${size(one.length)}`]],
    ["who, and when", (one) => [one.who || "inferred from page walks: nobody announced it", ...when(one)]],
    ["usable by", (one) => [first(trace, one, "rights")?.items.join(", ") ?? "not used, so not known"]],
    ["bus address", (one) => [code(address(one.physical_address))]],
    ["type, and why", (one) => why(trace, one)],
    ["who faults", (one) => [`${faults(one)}: filled ${one.on_fault ? "on first touch" : "at once"}`, ...(one.user ? otherFaults(resource, one) : [])]],
    ["kernel entries", (one) => (one.user ? entries(resource, one) : ["none: it is the kernel"])],
    ["accesses", (one) => [counted(one.accesses, "access", "accesses"), ...(one.first === null ? [] : [", the first ", recordLink(one.first)])]],
  ];
  byId("compared-table").append(
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, element("td", {}), element("th", { class: "kernel", scope: "col" }, `kernel: ${kernel.path}`), element("th", { class: "user", scope: "col" }, `user: ${user.path}`))),
      element("tbody", {}, ...rows.map(([head, tell]) => row(head, [kernel, user].map((one) => element("td", {}, ...tell(one)))))),
    ),
  );
  byId("answer").hidden = byId("compared").hidden = false;
}

/**
 * A row of the table; what both share is there once.
 * @param {string} head
 * @param {HTMLElement[]} cells
 */
function row(head, [left, right]) {
  const shared = left.textContent === right.textContent;
  const cells = shared ? [element("td", { class: "shared", colspan: 2 }, element("span", { class: "bus" }, "both "), ...left.childNodes)] : [left, right];
  return element("tr", {}, element("th", { scope: "row" }, head), ...cells);
}

/**
 * Records between which a mapping was there.
 * @param {MappingUse} mapping
 */
function when(mapping) {
  if (mapping.made === null) return mapping.first === null || mapping.last === null ? [] : [", used from ", recordLink(mapping.first), " to ", recordLink(mapping.last)];
  return [", from ", recordLink(mapping.made), ...(mapping.undone === null ? [" to the end"] : [" to ", recordLink(mapping.undone)])];
}

/**
 * What a mapping's first access says of something.
 * @param {Trace} trace
 * @param {MappingUse} mapping
 * @param {string} label
 */
function first(trace, mapping, label) {
  const index = mapping.first === null ? -1 : trace.indexOf(mapping.first);
  return index < 0 ? undefined : trace.lasting(index)?.layers.flat().find((fact) => fact.label === label);
}

/**
 * Memory type, and where it comes from.
 * @param {Trace} trace
 * @param {MappingUse} mapping
 */
function why(trace, mapping) {
  const reason = first(trace, mapping, "memory type");
  if (!reason) return [types(mapping)];
  // What it means for an access comes last.
  const [meaning, ...causes] = [...reason.items].reverse();
  return [`${types(mapping)}, ${meaning}`, element("div", { class: "aside" }, causes.reverse().join(", "))];
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
  return [". One that is filled on first touch, ", recordLink(other.made), `, took ${counted(other.faults_resolved, "fault")} for ${counted(other.accesses, "access", "accesses")}`];
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
  return [`${told(other)}, counted for the mapping of ${other.who}, `, recordLink(other.made)];
}
