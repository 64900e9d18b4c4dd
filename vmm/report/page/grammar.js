// The grammar of filters, as `barscope language` tells it: from words to an expression.

import { FilterError, lex, target } from "./tokens.js";

/** @typedef {import("./tokens.js").Token} Token */
/** @typedef {import("./tokens.js").Target} Target */
/** @typedef {string | bigint | boolean} Operand */
/**
 * @typedef {{ all: Expr[] } | { any: Expr[] } | { not: Expr } | { kind: string } | { at: Target } | { on: string }
 *   | { field: string, mask: bigint | null, op: string, operand: Operand } | { register: string, op: string, operand: Operand }} Expr
 */

const OPERATORS = ["==", "=", "!=", "<", "<=", ">", ">=", "~", "!~"];
const DEEPEST = 64;

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
