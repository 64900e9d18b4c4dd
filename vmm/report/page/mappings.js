// Mappings and BARs over time: what is there at a moment, and what came and went with it.

import { counted } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {{ pat: string | null, memory_type: string }} Types */
/**
 * @typedef {{ path: string, announced: boolean, user: boolean, cr3: string | null, virtual_address: string,
 *   physical_address: string, length: number, on_fault: boolean, who: string, call: string, made: number | null,
 *   undone: number | null, memory_types: Types[], accesses: number, unclaimed: number, first: number | null,
 *   last: number | null, faults_resolved: number, faults_fatal: number, kernel_entries: number | null }} MappingUse
 */
/**
 * @typedef {{ bdf: string, device: string, region: string, address: string, size: number, space: string,
 *   decoded: { from: number, until: number | null }[], mappings: MappingUse[] }} Resource
 */

/**
 * Whether a mapping is there at a record; one that wasn't announced from its first access to its last.
 * @param {MappingUse} mapping
 * @param {number} seq
 */
export function alive(mapping, seq) {
  const from = mapping.made ?? mapping.first ?? 0;
  const until = mapping.undone ?? (mapping.announced ? Infinity : (mapping.last ?? 0) + 1);
  return from <= seq && seq < until;
}

/**
 * @param {Resource} resource
 * @param {number} seq
 */
export function decoded(resource, seq) {
  return resource.decoded.some(({ from, until }) => from <= seq && seq < (until ?? Infinity));
}

/**
 * `UC- -> UC`.
 * @param {MappingUse} mapping
 */
export function types(mapping) {
  const words = mapping.memory_types.map(({ pat, memory_type }) => (pat && pat !== memory_type ? `${pat} -> ${memory_type}` : memory_type));
  return words.join(", ") || "not used, so not known";
}

/**
 * The moment that shows most: when kernel and user reach the same BAR.
 * @param {Resource[]} resources
 * @returns {{ resource: Resource, kernel: MappingUse, user: MappingUse, seq: number } | null}
 */
export function both(resources) {
  // Mappings that were announced tell most.
  for (const announced of [true, false]) {
    for (const resource of resources) {
      const used = resource.mappings.filter((one) => one.accesses > 0);
      for (const user of used.filter((one) => one.user && one.announced)) {
        const kernel = used.find((one) => !one.user && one.announced === announced && one.length <= resource.size * 2 && meet(one, user));
        if (kernel) return { resource, kernel, user, seq: Math.max(begin(user), begin(kernel)) };
      }
    }
  }
  return null;
}

/**
 * The record from which on a mapping is there, or was seen.
 * @param {MappingUse} mapping
 */
export function begin(mapping) {
  return mapping.made ?? mapping.first ?? 0;
}

/**
 * The record at which a mapping is undone, or seen for the last time if nobody announced it; `null` if it is there to the end.
 * @param {MappingUse} mapping
 */
export function end(mapping) {
  return mapping.undone ?? (mapping.announced ? null : mapping.last);
}

/**
 * Processes that had a mapping, by the last record that has to do with them: a trace doesn't say that a process ends, but
 * that nothing more comes of it.
 * @param {Trace} trace
 * @param {Resource[]} resources
 * @returns {Map<number, string[]>}
 */
export function lastSights(trace, resources) {
  /** @type {Map<string, number>} */
  const last = new Map();
  const see = (/** @type {string} */ who, /** @type {number} */ seq) => last.set(who, Math.max(last.get(who) ?? 0, seq));
  for (const mapping of resources.flatMap((one) => one.mappings).filter((one) => one.user && one.who !== "")) see(mapping.who, end(mapping) ?? Infinity);
  // What the kernel does for a process is through no mapping of its own.
  const names = trace.shapes.map(({ values }) => (values.pid === undefined ? undefined : `${trace.strings[values.process]} ${values.pid}`));
  for (let index = 0; index < trace.count; index++) {
    const who = names[trace.shapeOf[index]];
    if (who !== undefined && last.has(who)) see(who, trace.seqs[index]);
  }
  /** @type {Map<number, string[]>} */
  const sights = new Map();
  // Of what is left out nobody can say that it isn't there.
  if (trace.meta.leftOut > 0 || trace.meta.filter) return sights;
  for (const [who, seq] of last) if (seq !== Infinity) sights.set(seq, [...(sights.get(seq) ?? []), who]);
  return sights;
}

/**
 * Whether both are there at once, and lead to some of the same bus addresses.
 * @param {MappingUse} one
 * @param {MappingUse} other
 */
function meet(one, other) {
  const seq = Math.max(begin(one), begin(other));
  const [first, second] = [BigInt(one.physical_address), BigInt(other.physical_address)];
  return alive(one, seq) && alive(other, seq) && first < second + BigInt(other.length) && second < first + BigInt(one.length);
}

/**
 * An access of the kernel's and one of a program's, through these mappings, to the same register in the same direction: the
 * first write if there are two such.
 * @param {Trace} trace
 * @param {{ resource: Resource, kernel: MappingUse, user: MappingUse }} shown
 * @returns {[number, number] | null} their sequence numbers
 */
export function alike(trace, { resource, kernel, user }) {
  for (const kind of ["write", "read"]) {
    const [mine, its] = [kernel, user].map((mapping) => accesses(trace, resource, mapping, kind));
    for (const [offset, seq] of its) {
      const other = mine.get(offset);
      if (other !== undefined) return [other, seq];
    }
  }
  return null;
}

/**
 * The first access of a kind to each offset of a BAR, through a mapping.
 * @param {Trace} trace
 * @param {Resource} resource
 * @param {MappingUse} mapping
 * @param {string} kind
 * @returns {Map<number, number>} sequence numbers by offset
 */
function accesses(trace, resource, mapping, kind) {
  const found = new Map();
  const until = trace.from((mapping.last ?? 0) + 1);
  for (let index = trace.from(mapping.first ?? 0); index < until; index++) {
    const shape = trace.shape(index);
    if (shape.kind !== kind || shape.bdf !== resource.bdf || shape.region !== resource.region) continue;
    const offset = Number(trace.own("offset", index));
    if ((trace.property("cpl", index) === 3) === mapping.user && !found.has(offset)) found.set(offset, trace.seqs[index]);
  }
  return found;
}

/**
 * The call that made a mapping, or what it was taken for.
 * @param {MappingUse} mapping
 */
export function called(mapping) {
  return mapping.call || `${mapping.path} (inferred)`;
}

/**
 * Page faults at a mapping, in words.
 * @param {MappingUse} mapping
 */
export function faults(mapping) {
  const words = [];
  if (mapping.faults_resolved > 0) words.push(`${counted(mapping.faults_resolved, "fault")} that filled a page`);
  if (mapping.faults_fatal > 0) words.push(`${counted(mapping.faults_fatal, "fault")} that stopped a program`);
  return words.join(", ") || "none";
}
