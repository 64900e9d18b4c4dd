// The filter language, held against the records of the page.

import { Parser } from "./grammar.js";
import { FilterError, GREATEST } from "./tokens.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./grammar.js").Expr} Expr */
/** @typedef {import("./grammar.js").Operand} Operand */
/** @typedef {import("./tokens.js").Target} Target */

const NO = 0, MAYBE = 1, YES = 2;

/**
 * Whether `text` is like `pattern`, in which `*` stands for anything and `?` for one character.
 * @param {string} text
 * @param {string} pattern
 */
export function like(text, pattern) {
  const [letters, wanted] = [[...text], [...pattern]];
  let at = 0, next = 0, star = -1, from = 0;
  while (at < letters.length) {
    if (wanted[next] === "*") [star, from, next] = [next, at, next + 1];
    else if (next < wanted.length && (wanted[next] === "?" || wanted[next] === letters[at])) at++, next++;
    else if (star < 0) return false;
    else [next, at, from] = [star + 1, from + 1, from + 1];
  }
  return wanted.slice(next).every((rest) => rest === "*");
}

/**
 * Whether a value compares so; values of different kinds never do.
 * @param {any} actual
 * @param {string} op
 * @param {Operand} operand
 */
function holds(actual, op, operand) {
  const number = typeof actual === "number" || typeof actual === "bigint";
  if (number ? typeof operand !== "bigint" : typeof actual !== typeof operand) return false;
  switch (op) {
    case "==": return actual == operand;
    case "!=": return actual != operand;
    case "<": return actual < operand;
    case "<=": return actual <= operand;
    case ">": return actual > operand;
    case ">=": return actual >= operand;
    case "~": return typeof actual === "string" && like(actual, String(operand));
    default: return typeof actual === "string" && !like(actual, String(operand));
  }
}

/**
 * A test for records: whether the filter takes the one at an index.
 * @param {Trace} trace
 * @param {string} text
 * @returns {(index: number) => boolean}
 */
export function compile(trace, text) {
  const test = tested(trace, new Parser(text, trace.meta.language).parse());
  return (index) => test(index) === YES;
}

/**
 * @param {Trace} trace
 * @param {Expr} expr
 * @returns {(index: number) => number}
 */
function tested(trace, expr) {
  if ("all" in expr) {
    const parts = expr.all.map((part) => tested(trace, part));
    return (index) => parts.reduce((truth, part) => (truth === NO ? NO : Math.min(truth, part(index))), YES);
  }
  if ("any" in expr) {
    const parts = expr.any.map((part) => tested(trace, part));
    return (index) => parts.reduce((truth, part) => (truth === YES ? YES : Math.max(truth, part(index))), NO);
  }
  if ("not" in expr) {
    const part = tested(trace, expr.not);
    return (index) => YES - part(index);
  }
  if ("kind" in expr) {
    const members = trace.meta.language.kinds[expr.kind];
    return byShape(trace, (shape) => (members.includes(shape.kind) ? YES : NO));
  }
  if ("on" in expr) {
    const called = devices(trace, expr.on).map((one) => one.bdf);
    return byShape(trace, (shape) => {
      if (shape.function !== null) return called.includes(shape.function) ? YES : NO;
      return shape.open ? MAYBE : NO;
    });
  }
  if ("at" in expr) return atPlace(trace, expr.at);
  if ("register" in expr) return ofRegister(trace, expr);
  return ofField(trace, expr);
}

/**
 * A test that only the shape decides.
 * @param {Trace} trace
 * @param {(shape: import("./data.js").Shape, index: number) => number} test
 */
function byShape(trace, test) {
  const known = new Int8Array(trace.shapes.length).fill(-1);
  return (/** @type {number} */ index) => {
    const shape = trace.shapeOf[index];
    if (known[shape] < 0) known[shape] = test(trace.shapes[shape], index);
    return known[shape];
  };
}

/**
 * @param {Trace} trace
 * @param {string} name
 */
function devices(trace, name) {
  const found = [...trace.functions.values()].filter((one) => one.name === name || one.bdf === name.toLowerCase());
  if (found.length === 0) throw new FilterError(`the trace has no device ${name}`);
  return found;
}

/**
 * @param {Trace} trace
 * @param {Target} place
 */
function atPlace(trace, place) {
  const called = place.device === null ? [...trace.functions.values()] : devices(trace, place.device);
  /** @type {{ bdf: string | null, first: bigint, last: bigint }[]} */
  let areas;
  if (place.name !== null) {
    const name = place.name.toUpperCase();
    const registers = called.flatMap((one) => trace.registers(one.bdf, place.region).map((register) => ({ bdf: one.bdf, register })));
    areas = registers.filter(({ register }) => register.name.toUpperCase() === name).map(({ bdf, register }) => {
      const start = BigInt(register.offset);
      const first = place.plus === null ? start : start + place.plus;
      return { bdf, first, last: place.plus === null ? start + BigInt(register.size) - 1n : first };
    });
    if (areas.length === 0) throw new FilterError(`no device in the trace has a register ${place.region}.${place.name}`);
  } else {
    const [first, last] = place.plus === null ? [0n, GREATEST] : [place.plus, place.plus];
    areas = place.device === null ? [{ bdf: null, first, last }] : called.map(({ bdf }) => ({ bdf, first, last }));
  }
  return (/** @type {number} */ index) => {
    const shape = trace.shape(index);
    if (shape.region === null) return shape.open ? MAYBE : NO;
    if (shape.region !== place.region) return NO;
    const offset = /** @type {bigint} */ (trace.own("offset", index));
    const there = areas.some(({ bdf, first, last }) => (bdf === null || bdf === shape.bdf) && first <= offset && offset <= last);
    return there ? YES : NO;
  };
}

/**
 * @param {Trace} trace
 * @param {{ register: string, op: string, operand: Operand }} expr
 */
function ofRegister(trace, { register: name, op, operand }) {
  const exists = [...trace.functions.values()].some((one) =>
    one.register_maps.some((map) => map.registers.some((register) => register.fields?.some((field) => field.name === name))),
  );
  if (!exists) throw new FilterError(`no register has a field ${name}`);
  return (/** @type {number} */ index) => {
    const shape = trace.shape(index);
    if (shape.open || shape.kind === "not-emulated") return MAYBE;
    const content = trace.own("value", index);
    const register = trace.register(index);
    if (content === undefined || !register || BigInt(register.offset) !== trace.own("offset", index)) return NO;
    const field = register.fields?.find((one) => one.name === name);
    const width = trace.isAccess(index) ? Number(trace.property("width", index)) : 8;
    if (!field || field.lsb + field.width > 8 * width) return NO;
    const held = (BigInt(content) >> BigInt(field.lsb)) & ((1n << BigInt(field.width)) - 1n);
    const named = (field.values ?? []).find(([value]) => BigInt(value) === held)?.[1] ?? "";
    return holds(typeof operand === "string" ? named : held, op, operand) ? YES : NO;
  };
}

/**
 * @param {Trace} trace
 * @param {{ field: string, mask: bigint | null, op: string, operand: Operand }} expr
 */
function ofField(trace, { field, mask, op, operand }) {
  const masked = (/** @type {any} */ value) => (mask === null || typeof value === "string" ? value : BigInt(value) & mask);
  if (trace.meta.language.fields[field].several) {
    const denied = op === "!=" || op === "!~";
    const asked = op === "!=" ? "==" : op === "!~" ? "~" : op;
    return byShape(trace, (shape) => {
      const names = shape.names[field];
      if (!names) return NO;
      return names.some((id) => holds(trace.strings[id], asked, operand)) !== denied ? YES : NO;
    });
  }
  const test = (/** @type {number} */ index) => {
    const value = trace.property(field, index);
    return value !== undefined && holds(masked(value), op, operand) ? YES : NO;
  };
  return trace.ownBit.has(field) ? test : byShape(trace, (_, index) => test(index));
}
