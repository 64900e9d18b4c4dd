// The filter language, held against the records of the page: the grammar of `barscope language`.

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {{ type: "word" | "number" | "time" | "percent" | "address" | "text" | "sign", value: string | bigint }} Token */
/** @typedef {string | bigint | boolean} Operand */
/** @typedef {{ device: string | null, region: string, name: string | null, plus: bigint | null, field: string | null }} Target */
/**
 * @typedef {{ all: Expr[] } | { any: Expr[] } | { not: Expr } | { kind: string } | { at: Target } | { on: string }
 *   | { field: string, mask: bigint | null, op: string, operand: Operand } | { register: string, op: string, operand: Operand }} Expr
 */

const NO = 0, MAYBE = 1, YES = 2;
const GREATEST = (1n << 64n) - 1n;
/** Longer ones first. */
const SIGNS = "== != <= >= !~ && || .. ( ) { } < > = ~ & | ! , :".split(" ");
const OPERATORS = ["==", "=", "!=", "<", "<=", ">", ">=", "~", "!~"];
/** @type {Record<string, bigint>} */
const TIMES = { ns: 1n, us: 1_000n, ms: 1_000_000n, s: 1_000_000_000n };
/** @type {Record<string, bigint>} */
const SIZES = { K: 1n << 10n, KiB: 1n << 10n, M: 1n << 20n, MiB: 1n << 20n, G: 1n << 30n, GiB: 1n << 30n };
const DEEPEST = 64;

/** What is wrong with a filter. */
export class FilterError extends Error {}

/**
 * The words of a filter.
 * @param {string} text
 * @returns {Token[]}
 */
export function lex(text) {
  /** @type {Token[]} */
  const found = [];
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const skipped = /^(\s+|\\[ \t\r]*(?=\n)|#[^\n]*)/.exec(rest);
    if (skipped) {
      at += skipped[0].length;
      continue;
    }
    const [token, length] = tokenOf(rest);
    found.push(token);
    at += length;
  }
  return found;
}

/**
 * @param {string} rest
 * @returns {[Token, number]}
 */
function tokenOf(rest) {
  if (rest[0] === '"') {
    const quoted = /^"([^"\n]*)"/.exec(rest);
    if (!quoted) throw new FilterError('a text that begins with " has to end with one');
    return [{ type: "text", value: quoted[1] }, quoted[0].length];
  }
  const address = /^[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f](?![\p{Alphabetic}\p{N}])/iu.exec(rest);
  if (address) return [{ type: "address", value: address[0] }, address[0].length];
  if (/^[0-9]/.test(rest)) return numberOf(rest);
  const word = /^[\p{Alphabetic}_/](UC-|[\p{Alphabetic}\p{N}_/]|[.+-](?=[\p{Alphabetic}\p{N}_])|::(?=[\p{Alphabetic}\p{N}]))*/u.exec(rest);
  if (word) {
    const uncached = /^UC-/i.exec(rest);
    const value = uncached && word[0].length === 2 ? uncached[0] : word[0];
    return [{ type: "word", value }, value.length];
  }
  const sign = SIGNS.find((one) => rest.startsWith(one));
  if (!sign) throw new FilterError(`"${String.fromCodePoint(rest.codePointAt(0) ?? 0)}" has no meaning here`);
  return [{ type: "sign", value: sign }, sign.length];
}

/**
 * @param {string} rest
 * @returns {[Token, number]}
 */
function numberOf(rest) {
  const word = /^[\p{Alphabetic}\p{N}_]+/u.exec(rest)?.[0] ?? "";
  const plain = word.replaceAll("_", "");
  /** @param {bigint} value */
  const fits = (value) => {
    if (value > GREATEST) throw new FilterError(`${word} is no number of 64 bits`);
    return value;
  };
  if (/^0x[0-9a-f]+$/i.test(plain) && plain[1] === "x") return [{ type: "number", value: fits(BigInt(plain)) }, word.length];
  if (/^0b[01]+$/.test(plain)) return [{ type: "number", value: fits(BigInt(plain)) }, word.length];
  const parts = /^([0-9]+)(.*)$/u.exec(plain);
  const unit = parts?.[2] ?? "";
  const value = fits(BigInt(parts?.[1] ?? 0));
  if (unit === "") {
    const percent = rest[word.length] === "%";
    return [{ type: percent ? "percent" : "number", value }, word.length + (percent ? 1 : 0)];
  }
  if (unit in TIMES) return [{ type: "time", value: fits(value * TIMES[unit]) }, word.length];
  if (unit in SIZES) return [{ type: "number", value: fits(value * SIZES[unit]) }, word.length];
  throw new FilterError(`${word} is no number: 10, 0x1f, 0b101, 4K, or a time in ns, us, ms or s`);
}

/**
 * A place: `BAR0`, `lab.BAR0.STATUS`, `BAR2+0x10`, `BAR0.STATUS.DONE`.
 * @param {string} text
 * @returns {Target | null}
 */
export function target(text) {
  const found = targetIn(text, null);
  const dot = text.indexOf(".");
  return found || dot < 0 ? found : targetIn(text.slice(dot + 1), text.slice(0, dot));
}

/**
 * @param {string} text
 * @param {string | null} device
 * @returns {Target | null}
 */
function targetIn(text, device) {
  const parts = /^(ROM|CONFIG|BAR\+?0*[0-5])(?:\+([^]+)|\.([^]*))?$/i.exec(text);
  if (!parts) return null;
  const region = parts[1].toUpperCase().replace(/^BAR\+?0*(?=[0-5])/, "BAR");
  if (parts[2] !== undefined) {
    const plus = plain(parts[2]);
    return plus === null ? null : { device, region, name: null, plus, field: null };
  }
  if (parts[3] === undefined) return { device, region, name: null, plus: null, field: null };
  const cut = parts[3].indexOf("+");
  let name = cut < 0 ? parts[3] : parts[3].slice(0, cut);
  const plus = cut < 0 ? null : plain(parts[3].slice(cut + 1));
  if (cut >= 0 && plus === null) return null;
  const dot = name.indexOf(".");
  const field = dot < 0 ? null : name.slice(dot + 1);
  if (dot >= 0) name = name.slice(0, dot);
  return { device, region, name, plus, field };
}

/** @param {string} text */
function plain(text) {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) && !text.startsWith("0X") ? BigInt(text) : null;
  return value !== null && value <= GREATEST ? value : null;
}

/** Reads a filter. */
export class Parser {
  /**
   * @param {string} text
   * @param {{ kinds: Record<string, string[]>, fields: Record<string, { of: string | string[], several: boolean }>, calls: string[] }} language
   */
  constructor(text, language) {
    this.tokens = lex(text);
    this.at = 0;
    this.depth = 0;
    this.language = language;
  }

  /** @returns {Expr} */
  parse() {
    const expr = this.any();
    if (this.at < this.tokens.length) throw this.expected("another condition, or the end");
    return expr;
  }

  /** @returns {Token | undefined} */
  peek() {
    return this.tokens[this.at];
  }

  /** @param {string} what */
  expected(what) {
    const next = this.peek();
    return new FilterError(`expected ${what}, found ${next ? `"${next.value}"` : "the end"}`);
  }

  /**
   * @param {Token["type"]} type
   * @param {string} value
   */
  takes(type, value) {
    const next = this.peek();
    const comes = next?.type === type && next.value === value;
    if (comes) this.at++;
    return comes;
  }

  /** @param {...string} words */
  words(...words) {
    const comes = words.every((word, index) => {
      const token = this.tokens[this.at + index];
      return token?.type === "word" && token.value === word;
    });
    if (comes) this.at += words.length;
    return comes;
  }

  /** @returns {Expr} */
  any() {
    const parts = [this.all()];
    while (this.words("or") || this.takes("sign", "||") || this.takes("sign", "|")) parts.push(this.all());
    return parts.length === 1 ? parts[0] : { any: parts };
  }

  /** @returns {Expr} */
  all() {
    /** @type {Expr[]} */
    const parts = [];
    this.unary(parts);
    while (this.words("and") || this.takes("sign", "&&") || this.begins()) this.unary(parts);
    return parts.length === 1 ? parts[0] : { all: parts };
  }

  begins() {
    const next = this.peek();
    if (next?.type === "sign") return ["(", "{", "!"].includes(String(next.value));
    if (next?.type !== "word") return false;
    const word = String(next.value);
    return (
      ["not", "by", "via", "on", "in"].includes(word) ||
      Object.hasOwn(this.language.kinds, word) ||
      Object.hasOwn(this.language.fields, word) ||
      target(word) !== null
    );
  }

  /** @param {Expr[]} parts */
  unary(parts) {
    if (this.words("not") || this.takes("sign", "!")) {
      /** @type {Expr[]} */
      const negated = [];
      this.deeper(() => this.unary(negated));
      parts.push({ not: negated.length === 1 ? negated[0] : { all: negated } });
      return;
    }
    if (this.takes("sign", "(")) {
      this.deeper(() => parts.push(this.any()));
      if (!this.takes("sign", ")")) throw this.expected('")"');
      return;
    }
    if (this.takes("sign", "{")) {
      this.registerFields(parts);
      return;
    }
    const next = this.peek();
    if (next?.type !== "word") throw this.expected("a condition, like read, BAR0.STATUS, cpl == 3");
    this.at++;
    const word = String(next.value);
    if (word === "by") parts.push(this.privilege());
    else if (word === "via") parts.push(this.comparedWith("path", null, "=="));
    else if (word === "on") parts.push({ on: this.name("a device: its name, or its address like 00:04.0", true) });
    else if (word === "in") parts.push(this.code());
    else this.condition(word, parts);
  }

  /** @param {() => void} read */
  deeper(read) {
    if (this.depth === DEEPEST) throw new FilterError(`more than ${DEEPEST} brackets or negations in each other`);
    this.depth++;
    read();
    this.depth--;
  }

  /**
   * @param {string} word
   * @param {Expr[]} parts
   */
  condition(word, parts) {
    if (Object.hasOwn(this.language.kinds, word)) {
      parts.push({ kind: word });
      this.argument(word, parts);
    } else if (Object.hasOwn(this.language.fields, word)) {
      parts.push(this.comparison(word));
    } else {
      const place = target(word);
      if (!place) throw new FilterError(`"${word}" is no kind, field or place`);
      this.place(place, parts);
    }
  }

  /**
   * @param {string} kind
   * @param {Expr[]} parts
   */
  argument(kind, parts) {
    const next = this.peek();
    const after = this.tokens[this.at + 1];
    if (!next || (next.type === "number" && after?.type === "sign" && after.value === "..")) return;
    /** @type {[RegExp, Token["type"], string, string][]} */
    const known = [
      [/^(msi|interrupt-lost|interrupt-masked)$/, "number", "index", "=="],
      [/^mark$/, "text", "text", "=="],
      [/^(console|oops)$/, "text", "text", "~"],
      [/^scenario-(begin|end)$/, "text", "scenario", "=="],
      [/^isr(-exit)?$/, "number", "vector", "=="],
    ];
    const found = known.find(([kinds, type]) => kinds.test(kind) && next.type === type);
    if (!found) return;
    const [, , field, op] = found;
    parts.push({ field, mask: null, op, operand: op === "~" ? `*${next.value}*` : next.value });
    this.at++;
  }

  /**
   * @param {Target} place
   * @param {Expr[]} parts
   */
  place(place, parts) {
    if (place.field !== null && place.plus !== null) throw new FilterError("a field is of a register, not of what lies behind it");
    parts.push({ at: place });
    if (place.field !== null) {
      const op = this.operator();
      parts.push(op ? this.registerField(place.field, op) : { register: place.field, op: "!=", operand: 0n });
      return;
    }
    const mask = this.mask();
    const op = this.operator();
    if (op) parts.push(this.comparedWith("value", mask, op));
    else if (mask !== null) throw this.expected("a comparison, like == 1");
  }

  /** @param {Expr[]} parts */
  registerFields(parts) {
    for (;;) {
      const name = this.name("a field of the register");
      const op = this.operator();
      if (!op) throw this.expected("a comparison, like =1");
      parts.push(this.registerField(name, op));
      if (this.takes("sign", "}")) return;
      if (!this.takes("sign", ",")) throw this.expected('"," or "}"');
    }
  }

  /**
   * @param {string} register
   * @param {string} op
   * @returns {Expr}
   */
  registerField(register, op) {
    const next = this.peek();
    const word = next?.type === "word" && (op === "==" || op === "!=");
    if (!next || !(next.type === "number" || word)) throw this.expected("a number, or the name of a value of the field");
    this.at++;
    return { register, op, operand: next.value };
  }

  /**
   * @param {string} field
   * @returns {Expr}
   */
  comparison(field) {
    const { of } = this.language.fields[field];
    const mask = of === "number" || of === "hex" ? this.mask() : null;
    const op = this.operator();
    if (op) return this.comparedWith(field, mask, op);
    if (of === "flag") return { field, mask, op: "==", operand: true };
    const next = this.peek();
    if (Array.isArray(of) && next?.type === "word") return this.comparedWith(field, mask, "==");
    if (field === "pid" && next?.type === "number") return this.comparedWith(field, mask, "==");
    throw this.expected(`a comparison of ${field}, like ${field} == ..`);
  }

  mask() {
    if (!this.takes("sign", "&")) return null;
    const next = this.peek();
    if (next?.type !== "number") throw this.expected("a mask of bits");
    this.at++;
    return /** @type {bigint} */ (next.value);
  }

  operator() {
    const next = this.peek();
    if (next?.type !== "sign" || !OPERATORS.includes(String(next.value))) return null;
    this.at++;
    return next.value === "=" ? "==" : String(next.value);
  }

  /**
   * @param {string} field
   * @param {bigint | null} mask
   * @param {string} op
   * @returns {Expr}
   */
  comparedWith(field, mask, op) {
    const { of } = this.language.fields[field];
    const next = this.peek();
    const like = op === "~" || op === "!~";
    const ordered = /^[<>]=?$/.test(op);
    /** @type {Operand} */
    let operand;
    if (of === "number" || of === "hex" || of === "time") {
      if (next?.type !== "number" && !(of === "time" && next?.type === "time")) {
        throw this.expected(of === "time" ? "a time, like 50us" : "a number");
      }
      operand = next.value;
    } else if (of === "flag") {
      if (next?.type !== "word" || !/^(true|false)$/.test(String(next.value))) throw this.expected("true or false");
      operand = next.value === "true";
    } else if (of === "text") {
      if (!next || !["word", "text", "address"].includes(next.type)) throw this.expected('a text, like "lab::probe"');
      operand = String(next.value);
    } else {
      if (next?.type !== "word" && next?.type !== "text") throw this.expected(`one of ${/** @type {string[]} */ (of).join(", ")}`);
      const word = String(next.value);
      if (like) operand = word;
      else if (field === "memtype" && next.type === "word" && word === "uncached") {
        this.at++;
        return { field: "uncached", mask: null, op: "==", operand: op !== "!=" };
      } else if (field === "pat" && next.type === "word" && word === "uncached" && (op === "==" || op === "!=")) {
        this.at++;
        return { field, mask, op: op === "==" ? "~" : "!~", operand: "UC*" };
      } else {
        const known = /** @type {string[]} */ (of).find((name) => name.toLowerCase() === word.toLowerCase());
        if (known === undefined) throw this.expected(`one of ${/** @type {string[]} */ (of).join(", ")}`);
        operand = known;
      }
    }
    const fits = of === "flag" ? !like && !ordered : of === "text" || Array.isArray(of) ? !ordered : !like;
    if (!fits) throw new FilterError(`${field} can't be compared by ${op}`);
    this.at++;
    return this.checked({ field, mask, op, operand });
  }

  /**
   * @param {{ field: string, mask: bigint | null, op: string, operand: Operand }} term
   * @returns {Expr}
   */
  checked(term) {
    const named = term.field === "syscall" && (term.op === "==" || term.op === "!=");
    if (named && !this.language.calls.includes(String(term.operand))) throw new FilterError(`Linux has no system call ${term.operand}`);
    return term;
  }

  /** @returns {Expr} */
  privilege() {
    if (this.words("kernel")) return { field: "cpl", mask: null, op: "==", operand: 0n };
    if (this.words("user")) return { field: "cpl", mask: null, op: "==", operand: 3n };
    if (this.words("process")) return this.named("process", "the command of a process");
    throw this.expected("kernel, user or process");
  }

  /**
   * @param {string} field
   * @param {string} what
   * @returns {Expr}
   */
  named(field, what) {
    const operand = this.name(what);
    return this.checked({ field, mask: null, op: /[*?]/.test(operand) ? "~" : "==", operand });
  }

  /**
   * @param {string} what
   * @param {boolean} [address]
   */
  name(what, address = false) {
    const next = this.peek();
    const fits = next?.type === "word" || next?.type === "text" || (address && next?.type === "address");
    if (!next || !fits) throw this.expected(what);
    this.at++;
    return String(next.value);
  }

  /** @returns {Expr} */
  code() {
    if (this.words("handler")) return { field: "handler", mask: null, op: "==", operand: true };
    for (const [words, operand] of /** @type {[string[], string][]} */ ([
      [["hard", "handler"], "hard"],
      [["threaded", "handler"], "threaded"],
      [["softirq"], "softirq"],
    ])) {
      if (this.words(...words)) {
        const names = /** @type {string[]} */ (this.language.fields.context.of);
        return { field: "context", mask: null, op: "==", operand: names.find((name) => name.startsWith(operand)) ?? operand };
      }
    }
    if (this.words("stack")) return this.named("stack", "the name of a function");
    if (this.words("syscall")) return this.named("syscall", "the name of a system call, like ioctl");
    return this.named("function", "handler, stack, syscall, softirq, or the name of a function");
  }
}

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
