// Which part of the trace is in sight, and where in the timeline's drawing a place of it is.

/** Fewest records in sight. */
export const CLOSEST = 12;

/** Places from one up to another, over a width in pixels. */
export class Sight {
  /** @param {number} count of records */
  constructor(count) {
    this.count = count;
    this.from = 0;
    this.to = Math.max(count, CLOSEST);
    this.width = 0;
  }

  /** How many records are in sight. */
  get length() {
    return this.to - this.from;
  }

  get centre() {
    return (this.from + this.to) / 2;
  }

  /** Records a pixel. */
  get each() {
    return this.length / this.width;
  }

  get isWhole() {
    return this.from <= 0 && this.to >= this.count;
  }

  /** @param {number} index */
  has(index) {
    return this.from <= index && index < this.to;
  }

  /**
   * Has so many records from a place on in sight.
   * @param {number} from
   * @param {number} length
   */
  show(from, length) {
    this.from = Math.min(Math.max(from, 0), Math.max(this.count - length, 0));
    this.to = this.from + length;
  }

  /**
   * Makes what is in sight longer by a factor, around a place that stays where it is.
   * @param {number} factor
   * @param {number} centre
   */
  zoom(factor, centre) {
    const before = this.length;
    const length = Math.min(Math.max(before * factor, CLOSEST), Math.max(this.count, CLOSEST));
    this.show(centre - ((centre - this.from) * length) / before, length);
  }

  /**
   * Has a record in sight, in the middle if it wasn't.
   * @param {number} index
   */
  reach(index) {
    if (!this.has(index)) this.show(index - this.length / 2, this.length);
  }

  /**
   * Where a place is drawn.
   * @param {number} place
   */
  x(place) {
    return (place - this.from) / this.each;
  }

  /**
   * The place at a point of the drawing.
   * @param {number} x
   */
  place(x) {
    return this.from + x * this.each;
  }
}
