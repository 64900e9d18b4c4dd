// Numbers and records in words, as the terminal has them.

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./data.js").Register} Register */
/** @typedef {import("./data.js").RegisterField} RegisterField */

/**
 * `1,131`.
 * @param {number | bigint} value
 */
export function number(value) {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/**
 * `1 fault`, `2 faults`.
 * @param {number} value
 * @param {string} one
 */
export function counted(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/**
 * `0x1f`.
 * @param {number | bigint} value
 */
export function hex(value) {
  return `0x${value.toString(16)}`;
}

/**
 * An address of 16 digits, or as few as a bus address takes.
 * @param {string | bigint} address
 * @param {boolean} [virtual]
 */
export function address(address, virtual = false) {
  return BigInt(address).toString(16).padStart(virtual ? 16 : 1, "0");
}

/**
 * `4 KiB`.
 * @param {number} bytes
 */
export function size(bytes) {
  for (const [unit, name] of /** @type {[number, string][]} */ ([[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])) {
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit} ${name}`;
  }
  return counted(bytes, "byte");
}

/**
 * `20.13 us`: four digits.
 * @param {number} ns
 */
export function time(ns) {
  const [unit, name] = ns < 1e6 ? [1e3, "us"] : ns < 1e9 ? [1e6, "ms"] : [1e9, "s"];
  return `${Number((ns / unit).toPrecision(4))} ${name}`;
}

/**
 * What a value holds in a field.
 * @param {RegisterField} field
 * @param {bigint} value
 */
export function extract(field, value) {
  return (value >> BigInt(field.lsb)) & ((1n << BigInt(field.width)) - 1n);
}

/**
 * The name of what a field holds.
 * @param {RegisterField} field
 * @param {bigint} held
 */
export function valueName(field, held) {
  return (field.values ?? []).find(([value]) => BigInt(value) === held)?.[1];
}

/**
 * Names of set bits, `FIELD=VALUE` for wider fields that are not zero.
 * @param {Register} register
 * @param {bigint} value
 */
export function describe(register, value) {
  const words = [];
  for (const field of register.fields ?? []) {
    const held = extract(field, value);
    const whole = field.width >= 8 * register.size || field.name === register.name;
    const name = valueName(field, held);
    const bit = field.width === 1;
    if (name === undefined && (held === 0n || (whole && !bit))) continue;
    if (name !== undefined) words.push(whole ? name : `${field.name}=${name}`);
    else words.push(bit ? field.name : `${field.name}=${hex(held)}`);
  }
  return words.join(" ");
}

/**
 * `BAR0+0x008`.
 * @param {Trace} trace
 * @param {number} index
 */
export function place(trace, index) {
  const offset = trace.own("offset", index);
  const { region } = trace.shape(index);
  return offset === undefined || !region ? "" : `${region}+0x${offset.toString(16).padStart(3, "0")}`;
}

/**
 * `STATUS`, `MEMORY+0x10`.
 * @param {Trace} trace
 * @param {number} index
 */
export function registerName(trace, index) {
  const register = trace.register(index);
  const shape = trace.shape(index);
  if (!register) return shape.region === "CONFIG" && shape.bdf === null ? "CONFIG_ADDRESS" : "";
  const within = Number(trace.own("offset", index)) - register.offset;
  return register.memory || within > 0 ? `${register.name}+${hex(within)}` : register.name;
}

/**
 * A record on one line.
 * @param {Trace} trace
 * @param {number} index
 */
export function summary(trace, index) {
  const shape = trace.shape(index);
  if (!trace.isAccess(index)) return trace.strings[Number(trace.own("summary", index) ?? 0)];
  const name = registerName(trace, index);
  const own = shape.bdf !== null && (shape.region === "CONFIG" || shape.alike) ? `${shape.bdf} ` : "";
  let target = shape.region ? `${own}${shape.bdf === null ? "" : `${shape.region}.`}${name}` : "";
  if (shape.region && !name) target = own + place(trace, index);
  if (!target) {
    const port = trace.property("port", index);
    target = port === undefined ? hex(trace.own("gpa", index) ?? 0) : `port ${hex(/** @type {bigint} */ (port))}`;
  }
  return `${shape.kind === "write" ? "W" : "R"}${trace.property("width", index)} ${target} ${value(trace, index)}${refusal(trace, index)}`;
}

/**
 * `0x1 DONE`.
 * @param {Trace} trace
 * @param {number} index
 */
export function value(trace, index) {
  const content = BigInt(trace.own("value", index) ?? 0);
  const { bdf, region } = trace.shape(index);
  const start = Number(trace.own("offset", index) ?? 0);
  const width = Number(trace.property("width", index));
  if (trace.property("outcome", index) !== "ok" || region === null) return hex(content);
  const register = trace.register(index);
  const words = register && register.offset === start && width >= register.size ? [describe(register, content)] : [];
  // One access of configuration space may reach several registers.
  const others = region === "CONFIG" ? trace.registers(bdf, region) : [];
  for (const other of others.filter((one) => one.offset > start && one.offset + one.size <= start + width)) {
    const meaning = describe(other, content >> BigInt(8 * (other.offset - start)));
    if (meaning) words.push(`${other.name} ${meaning}`);
  }
  return [hex(content), words.filter(Boolean).join(", ")].filter(Boolean).join(" ");
}

/**
 * @param {Trace} trace
 * @param {number} index
 */
function refusal(trace, index) {
  const outcome = trace.property("outcome", index);
  return outcome === "ok" ? "" : `  (${outcome})`;
}

/**
 * `ioremap`, `mmap`, `direct`: whose colour a record has.
 * @param {string | undefined} path
 * @param {boolean} user
 */
export function side(path, user) {
  return path === "direct" ? "direct" : user ? "user" : "kernel";
}
