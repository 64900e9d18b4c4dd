// Words of the filter language: numbers, texts, signs, and the places that a word can name.

/** @typedef {{ type: "word" | "number" | "time" | "percent" | "address" | "text" | "sign", value: string | bigint }} Token */
/** @typedef {{ device: string | null, region: string, name: string | null, plus: bigint | null, field: string | null }} Target */

export const GREATEST = (1n << 64n) - 1n;
/** Longer ones first. */
const SIGNS = "== != <= >= !~ && || .. ( ) { } < > = ~ & | ! , :".split(" ");
/** @type {Record<string, bigint>} */
const TIMES = { ns: 1n, us: 1_000n, ms: 1_000_000n, s: 1_000_000_000n };
/** @type {Record<string, bigint>} */
const SIZES = { K: 1n << 10n, KiB: 1n << 10n, M: 1n << 20n, MiB: 1n << 20n, G: 1n << 30n, GiB: 1n << 30n };

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
