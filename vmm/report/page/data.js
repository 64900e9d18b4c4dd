// The trace: columns of numbers, decoded once.

/**
 * What records have in common.
 * @typedef {object} Shape
 * @property {string} kind
 * @property {Record<string, any>} values
 * @property {Record<string, number[]>} names
 * @property {string | null} function
 * @property {string | null} bdf
 * @property {string | null} region
 * @property {number} own
 * @property {boolean} open It is about a place that the trace doesn't tell.
 * @property {boolean} alike
 * @property {number | null} lasting
 */

/** @typedef {{ name: string, lsb: number, width: number, doc: string, values: [number, string][] }} RegisterField */
/** @typedef {{ name: string, offset: number, size: number, access: string, memory: boolean, doc: string, fields: RegisterField[] }} Register */
/** @typedef {{ region: string, registers: Register[] }} RegisterMap */
/** @typedef {{ bdf: string, name: string, register_maps: RegisterMap[] }} PciFunction */
/** @typedef {{ label: string, items: string[] }} Fact */
/** @typedef {{ table: string, index: number, value: string, address: string, bits: string[] }} Entry */
/** @typedef {{ way: Fact[], layers: Fact[][], page_table: { cr3: string, page_size: number, user: boolean, writable: boolean, entries: Entry[] } | null }} Lasting */
/** @typedef {Float64Array | BigUint64Array} Numbers */

/**
 * The text of a part of the page's data, decompressed by the browser.
 * @param {string} name
 * @returns {Promise<Uint8Array>}
 */
async function part(name) {
  const text = document.getElementById(`data-${name}`)?.textContent ?? "";
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {string} name */
async function json(name) {
  return JSON.parse(new TextDecoder().decode(await part(name)));
}

/** Numbers that take more than 53 bits. */
const WIDE = new Set(["gva", "gpa", "offset", "value", "old", "address"]);

/**
 * Numbers of 7 bits a byte, one for each record whose shape has the property.
 * @param {Uint8Array} bytes
 * @param {string} told
 * @param {boolean} wide
 * @param {Uint32Array} shapes
 * @param {Uint8Array} has by shape
 * @returns {Numbers}
 */
export function decode(bytes, told, wide, shapes, has) {
  const count = shapes.length;
  const out = wide ? new BigUint64Array(count) : new Float64Array(count);
  const halves = wide ? new Uint32Array(out.buffer) : null;
  const numbers = wide ? null : /** @type {Float64Array} */ (out);
  const like = told === "like";
  const lasts = new Uint32Array(2 * (like ? has.length : 1));
  let at = 0;
  for (let index = 0; index < count; index++) {
    const shape = shapes[index];
    if (!has[shape]) continue;
    let low = 0, high = 0, shift = 0, byte = 0;
    do {
      byte = bytes[at++];
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >> 4;
      } else high |= bits << (shift - 32);
      shift += 7;
    } while (byte & 0x80);
    low >>>= 0;
    high >>>= 0;
    if (told !== "plain") {
      const negative = low & 1;
      low = ((low >>> 1) | (high << 31)) >>> 0;
      high >>>= 1;
      if (negative) {
        low = ~low >>> 0;
        high = ~high >>> 0;
      }
      const last = like ? 2 * shape : 0;
      const sum = low + lasts[last];
      high = (high + lasts[last + 1] + (sum > 0xffffffff ? 1 : 0)) >>> 0;
      low = sum >>> 0;
      lasts[last] = low;
      lasts[last + 1] = high;
    }
    if (halves) {
      halves[2 * index] = low;
      halves[2 * index + 1] = high;
    } else if (numbers) numbers[index] = high * 4294967296 + low;
  }
  return out;
}

/** A trace: what the page was made with, and properties of each record. */
export class Trace {
  /**
   * @param {any} meta
   * @param {Shape[]} shapes
   * @param {Lasting[]} drawn
   * @param {Uint32Array} shapeOf
   * @param {Map<string, Numbers>} columns
   */
  constructor(meta, shapes, drawn, shapeOf, columns) {
    this.meta = meta;
    this.shapes = shapes;
    this.drawn = drawn;
    this.shapeOf = shapeOf;
    this.columns = columns;
    this.count = shapeOf.length;
    this.seqs = /** @type {Float64Array} */ (columns.get("seq"));
    /** @type {Map<string, number>} */
    this.ownBit = new Map(meta.own.map((/** @type {string} */ name, /** @type {number} */ at) => [name, at]));
    /** @type {Map<string, PciFunction>} */
    this.functions = new Map(meta.functions.map((/** @type {PciFunction} */ one) => [one.bdf, one]));
    /** @type {string[]} */
    this.strings = meta.strings;
  }

  /** What is in the page. */
  static async load() {
    const [meta, { shapes, drawn }] = await Promise.all([json("meta"), json("shapes")]);
    const all = new Uint8Array(1).fill(1);
    const shapeBytes = await part("shape");
    const one = new Uint32Array(meta.records);
    const shapeOf = Uint32Array.from(decode(shapeBytes, "plain", false, one, all), Number);
    /** @type {(property: string) => (shape: Shape) => boolean} */
    const has = (property) => {
      const bit = meta.own.indexOf(property);
      if (bit >= 0) return (shape) => ((shape.own >> bit) & 1) === 1;
      if (property === "busy") return (shape) => shape.kind === "busy";
      if (property === "summary") return (shape) => shape.kind !== "read" && shape.kind !== "write";
      return (shape) => shape.kind === "map" || shape.kind === "unmap";
    };
    const columns = await Promise.all(
      meta.columns.slice(1).map(async (/** @type {[string, string]} */ [name, told]) => {
        const present = Uint8Array.from(shapes, (shape) => (has(name)(shape) ? 1 : 0));
        return [name, decode(await part(name), told, WIDE.has(name), shapeOf, present)];
      }),
    );
    return new Trace(meta, shapes, drawn, shapeOf, new Map(columns));
  }

  /** @param {number} index */
  shape(index) {
    return this.shapes[this.shapeOf[index]];
  }

  /**
   * The property of a record that has it of its own; `undefined` if it has none.
   * @param {string} name
   * @param {number} index
   * @returns {number | bigint | undefined}
   */
  own(name, index) {
    const bit = this.ownBit.get(name);
    if (bit !== undefined && ((this.shape(index).own >> bit) & 1) === 0) return undefined;
    const value = this.columns.get(name)?.[index];
    if (name !== "cause" || value === undefined) return value;
    return this.seqs[index] - Number(value);
  }

  /**
   * A property by its name, as filters see it.
   * @param {string} name
   * @param {number} index
   * @returns {number | bigint | string | boolean | undefined}
   */
  property(name, index) {
    const field = this.meta.language.fields[name];
    if (this.ownBit.has(name)) {
      const value = this.own(name, index);
      return name === "text" && value !== undefined ? this.strings[Number(value)] : value;
    }
    const value = this.shape(index).values[name];
    if (value === undefined) return undefined;
    if (field.of === "hex") return BigInt(value);
    return field.of === "text" || Array.isArray(field.of) ? this.strings[value] : value;
  }

  /**
   * The index of the record with a sequence number; -1 if it isn't here.
   * @param {number} seq
   */
  indexOf(seq) {
    const at = this.from(seq);
    return at < this.count && this.seqs[at] === seq ? at : -1;
  }

  /**
   * The first index from a sequence number on.
   * @param {number} seq
   */
  from(seq) {
    let low = 0, high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.seqs[middle] < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {number} index */
  isAccess(index) {
    const { kind } = this.shape(index);
    return kind === "read" || kind === "write";
  }

  /**
   * What an access shares with those like it.
   * @param {number} index
   * @returns {Lasting | undefined}
   */
  lasting(index) {
    const { lasting } = this.shape(index);
    return lasting === null ? undefined : this.drawn[lasting];
  }

  /**
   * Registers of a region.
   * @param {string | null} bdf
   * @param {string | null} region
   * @returns {Register[]}
   */
  registers(bdf, region) {
    const maps = this.functions.get(bdf ?? "")?.register_maps;
    const found = maps?.find((map) => map.region === region)?.registers;
    // All functions have those of the header, also where there is none.
    return found ?? (region === "CONFIG" && bdf !== null ? this.meta.header : []);
  }

  /**
   * The register that a record's place is in.
   * @param {number} index
   * @returns {Register | undefined}
   */
  register(index) {
    const { bdf, region } = this.shape(index);
    const offset = this.own("offset", index);
    if (offset === undefined) return undefined;
    const at = Number(offset);
    return this.registers(bdf, region).find((one) => one.offset <= at && at < one.offset + one.size);
  }
}
