// The timeline's drawing: a lane a row, a record at the place of its index, on a canvas.

import { firstEnding, lowest, nearest } from "./near.js";
import { Sight } from "./sight.js";
import { number, summary, time } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./lanes.js").Lane} Lane */
/** @typedef {import("./lanes.js").Span} Span */
/** @typedef {{ lane: number, index: number }} Cursor */

/** Height of a lane and of the axis, in pixels; the style has the same. */
const LANE = 22, AXIS = 36;
/** Arrows are drawn if no more records than this are in sight. */
const ARROWS_MAX = 400;
/** Records after an access among which its consequences are looked for. */
const REACH = 2000;

/** What is drawn for a record: its colour, where it begins and ends in its lane (in hundredths of its height), and its name. */
const MARKS = /** @type {Record<string, [string, number, number, string]>} */ ({
  "write kernel": ["kernel", 14, 86, "write"],
  "read kernel": ["kernel", 50, 86, "read"],
  "write user": ["user", 14, 86, "write"],
  "read user": ["user", 50, 86, "read"],
  handler: ["warn", 5, 95, "handler"],
  entry: ["soft", 5, 95, "kernel entry"],
  change: ["bus", 35, 86, "change"],
  dma: ["good", 14, 86, "DMA"],
  interrupt: ["warn", 14, 86, "interrupt"],
  fault: ["bad", 5, 95, "fault"],
  text: ["soft", 14, 86, "text"],
  rest: ["soft", 50, 86, "other"],
});

/** The drawing of what is in sight. */
export class Plot {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Trace} trace
   * @param {Lane[]} lanes
   */
  constructor(canvas, trace, lanes) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("the browser has no canvas");
    this.canvas = canvas;
    this.context = context;
    this.trace = trace;
    this.lanes = lanes;
    this.sight = new Sight(trace.count);
    this.colours = /** @type {Record<string, string>} */ ({});
    this.font = "";
    canvas.style.height = `${this.height}px`;
  }

  get height() {
    return AXIS + this.lanes.length * LANE;
  }

  /** Colours are asked for anew. */
  recolour() {
    this.colours = {};
  }

  /**
   * The record at a point of the drawing; -1 if none is near.
   * @param {number} x
   * @param {number} y
   */
  at(x, y) {
    const lane = this.lanes[Math.floor((y - AXIS) / LANE)];
    if (y < AXIS || !lane) return -1;
    const place = this.sight.place(x);
    const found = nearest(lane, place - 0.5);
    if (found >= 0 && Math.abs(this.sight.x(found + 0.5) - x) <= Math.max(6, this.sight.x(1) - this.sight.x(0))) return found;
    for (const list of lane.spans.values()) {
      const inside = list.findLast(({ from, to }) => from <= place && place < to);
      if (inside) return inside.index;
    }
    return -1;
  }

  /**
   * Draws what is in sight, with what the chosen record led to and, if it has the focus, the cursor.
   * @param {number} chosen
   * @param {Cursor | null} cursor
   */
  draw(chosen, cursor) {
    const { canvas, context, trace } = this;
    const scale = devicePixelRatio || 1;
    this.sight.width = canvas.clientWidth;
    if (this.sight.width === 0) return;
    const [width, height] = [Math.round(this.sight.width * scale), Math.round(this.height * scale)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (!this.colours.ink) {
      const style = getComputedStyle(document.documentElement);
      for (const name of ["ink", "soft", "line", "kernel", "user", "bus", "warn", "good", "bad", "mark", "paper"]) this.colours[name] = style.getPropertyValue(`--${name}`).trim();
      this.font = style.getPropertyValue("--mono");
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.sight.width, this.height);
    this.axis();
    this.lanes.forEach((lane, at) => this.lane(lane, AXIS + at * LANE));
    if (this.sight.length <= ARROWS_MAX) {
      for (let index = Math.floor(this.sight.from); index < Math.min(this.sight.to, trace.count); index++) if (trace.isAccess(index)) this.arrows(index, this.sight.to, 0.45);
    }
    if (chosen >= 0) {
      const cause = trace.own("cause", chosen);
      const first = cause === undefined || trace.isAccess(chosen) ? chosen : trace.indexOf(Number(cause));
      if (first >= 0) this.arrows(first, Math.min(first + REACH, trace.count), 1);
      this.rule(chosen, this.colours.ink);
    }
    if (cursor) {
      context.strokeStyle = this.colours.bus;
      context.lineWidth = 1;
      context.strokeRect(0.5, AXIS + cursor.lane * LANE + 0.5, this.sight.width - 1, LANE - 1);
      if (cursor.index >= 0) this.rule(cursor.index, this.colours.bus);
    }
  }

  axis() {
    const { context, trace, colours } = this;
    const room = 110;
    const least = this.sight.each * room;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? 10 * power);
    context.font = `11px ${this.font}`;
    context.textBaseline = "alphabetic";
    for (let place = Math.ceil(this.sight.from / step) * step; place < Math.min(this.sight.to, trace.count); place += step) {
      const x = Math.round(this.sight.x(place)) + 0.5;
      context.fillStyle = colours.line;
      context.fillRect(x - 0.5, 0, 1, this.height);
      if (x + room - 12 > this.sight.width) continue;
      context.fillStyle = colours.ink;
      context.fillText(number(trace.seqs[place]), x + 4, 12);
      context.fillStyle = colours.soft;
      context.fillText(time(Number(trace.own("time", place))), x + 4, 26);
    }
  }

  /**
   * @param {Lane} lane
   * @param {number} top
   */
  lane(lane, top) {
    const { context, colours } = this;
    context.fillStyle = colours.line;
    context.fillRect(0, top + LANE - 1, this.sight.width, 1);
    for (const [what, list] of lane.spans) this.spans(what, list, top);
    const each = this.sight.x(1) - this.sight.x(0);
    const wide = Math.min(Math.max(each * 0.6, 1.5), 6);
    for (const [as, list] of lane.marks) {
      const [colour, upper, lower] = MARKS[as];
      const [y, height] = [top + (upper * LANE) / 100, ((lower - upper) * LANE) / 100];
      const [first, last] = [lowest(list, this.sight.from - 1), lowest(list, this.sight.to)];
      context.fillStyle = colours[colour];
      if (last - first <= 2 * this.sight.width) {
        context.globalAlpha = each < 1 ? 0.7 : 1;
        for (let at = first; at < last; at++) this.mark(as, this.sight.x(list[at] + 0.5), y, wide, height);
        if (as === "text") this.texts(list, first, last, top, each);
      } else this.density(list, first, y, height);
      context.globalAlpha = 1;
    }
  }

  /**
   * @param {string} as
   * @param {number} x
   * @param {number} y
   * @param {number} wide
   * @param {number} height
   */
  mark(as, x, y, wide, height) {
    const { context } = this;
    if (as !== "interrupt" && as !== "dma") {
      context.fillRect(x - wide / 2, y, wide, height);
      return;
    }
    const half = wide / 2 + 1.5;
    context.beginPath();
    context.moveTo(x, y);
    if (as === "dma") context.lineTo(x + half, y + height / 2);
    context.lineTo(as === "dma" ? x : x + half, y + height);
    context.lineTo(x - half, as === "dma" ? y + height / 2 : y + height);
    context.fill();
  }

  /**
   * How many there are at each pixel, where there are more than pixels.
   * @param {Uint32Array} list
   * @param {number} first
   * @param {number} y
   * @param {number} height
   */
  density(list, first, y, height) {
    const { context } = this;
    const { each } = this.sight;
    let at = first;
    for (let x = 0; x < this.sight.width; x++) {
      const until = lowest(list, this.sight.from + (x + 1) * each);
      if (until > at) {
        context.globalAlpha = 0.25 + 0.75 * Math.min(1, (until - at) / each);
        context.fillRect(x, y, 1, height);
      }
      at = until;
    }
  }

  /**
   * Names beside marks, as far as the next one leaves room.
   * @param {Uint32Array} list
   * @param {number} first
   * @param {number} last
   * @param {number} top
   * @param {number} each
   */
  texts(list, first, last, top, each) {
    const { trace } = this;
    for (let at = first; at < last; at++) {
      const room = ((at + 1 < list.length ? list[at + 1] : trace.count) - list[at]) * each - 10;
      if (room > 24) this.text(summary(trace, list[at]).replace(/^(mark |console: )/, ""), this.sight.x(list[at] + 0.5) + 6, top, room);
    }
  }

  /**
   * @param {string} text
   * @param {number} x
   * @param {number} top
   * @param {number} room
   */
  text(text, x, top, room) {
    const { context } = this;
    const letters = Math.floor(room / 6.7);
    context.font = `11px ${this.font}`;
    context.fillText(text.length > letters ? `${text.slice(0, Math.max(letters - 1, 0))}…` : text, x, top + LANE / 2 + 4);
  }

  /**
   * @param {string} what
   * @param {Span[]} list by where they begin
   * @param {number} top
   */
  spans(what, list, top) {
    const { context, colours, trace } = this;
    let end = -1;
    for (let at = firstEnding(list, this.sight.from); at < list.length && list[at].from < this.sight.to; at++) {
      const { from, to, index } = list[at];
      const [left, right] = [Math.max(this.sight.x(from), -4), Math.min(this.sight.x(to), this.sight.width + 4)];
      // What is within a pixel that is drawn already adds nothing.
      if (right <= end || to <= this.sight.from) continue;
      if (right - left < 1) end = left + 1;
      const wide = Math.max(right - left, 1);
      if (what === "call") {
        context.fillStyle = colours.soft;
        context.fillRect(left, top + LANE - 4, wide, 3);
        continue;
      }
      const passed = what === "scenario" ? verdict(trace, index, to - 1) : null;
      const colour = what === "scenario" ? (passed === undefined ? "soft" : passed ? "good" : "bad") : what === "busy" ? "bus" : "warn";
      context.fillStyle = colours[colour];
      context.globalAlpha = what === "scenario" && passed === false ? 0.5 : 0.22;
      context.fillRect(left, top + 2, Math.max(wide - 1, 1), LANE - 5);
      context.globalAlpha = 1;
      if (what !== "scenario") continue;
      context.fillRect(left, top + 2, Math.min(2, wide), LANE - 5);
      if (wide < 30) continue;
      context.fillStyle = colours.ink;
      this.text(String(trace.property("scenario", index) ?? ""), Math.max(left, 0) + 6, top - 1, right - Math.max(left, 0) - 10);
    }
  }

  /**
   * Arrows from an access to what it led to: an effect from the access, an interrupt from the effect before it, a handler from the interrupt.
   * @param {number} index
   * @param {number} end
   * @param {number} strength
   */
  arrows(index, end, strength) {
    const { trace } = this;
    const seq = trace.seqs[index];
    let [effect, interrupt] = [index, -1];
    for (let at = index + 1; at < Math.min(end, trace.count, index + REACH); at++) {
      if (trace.own("cause", at) !== seq || trace.isAccess(at)) continue;
      const { kind } = trace.shape(at);
      if (kind === "isr-exit") continue;
      if (kind === "isr") this.arrow(interrupt < 0 ? effect : interrupt, at, "warn", strength);
      else if (DELIVERS.has(kind)) {
        this.arrow(effect, at, "warn", strength);
        interrupt = at;
      } else {
        this.arrow(index, at, kind === "dma" ? "good" : "bus", strength);
        effect = at;
      }
    }
  }

  /**
   * @param {number} from
   * @param {number} to
   * @param {string} colour
   * @param {number} strength
   */
  arrow(from, to, colour, strength) {
    const { context } = this;
    const [start, end] = [this.middle(from), this.middle(to)];
    if (start < 0 || end < 0) return;
    const [x, tip] = [this.sight.x(from + 0.5), this.sight.x(to + 0.5)];
    const down = end >= start ? 1 : -1;
    // Within a lane it goes over what lies between.
    const arrival = end - down * 9;
    const y = start === end ? arrival : start;
    const bend = start === end ? -9 : Math.abs(arrival - y) / 2;
    context.globalAlpha = strength;
    context.strokeStyle = context.fillStyle = this.colours[colour];
    context.lineWidth = 1.2;
    context.beginPath();
    context.moveTo(x, y);
    context.bezierCurveTo(x, y + down * bend, tip, arrival - down * bend, tip, arrival);
    context.stroke();
    context.beginPath();
    context.moveTo(tip, arrival + down * 3);
    context.lineTo(tip - 3, arrival - down * 3);
    context.lineTo(tip + 3, arrival - down * 3);
    context.fill();
    context.globalAlpha = 1;
  }

  /**
   * The height at which a record is drawn first; -1 if it isn't.
   * @param {number} index
   */
  middle(index) {
    const lane = this.lanes.findIndex(({ marks }) => [...marks.values()].some((list) => list[lowest(list, index)] === index));
    return lane < 0 ? -1 : AXIS + (lane + 0.5) * LANE;
  }

  /**
   * @param {number} index
   * @param {string} colour
   */
  rule(index, colour) {
    this.context.fillStyle = colour;
    this.context.fillRect(Math.round(this.sight.x(index + 0.5)), AXIS - 6, 1, this.height - AXIS + 6);
  }
}

/** Kinds that a handler answers, if they arrive. */
const DELIVERS = new Set(["msi", "intx", "interrupt-lost", "interrupt-masked"]);

/**
 * How a scenario ended; `undefined` if it didn't.
 * @param {Trace} trace
 * @param {number} begin
 * @param {number} end
 */
function verdict(trace, begin, end) {
  return trace.shape(end).kind === "scenario-end" && end > begin ? trace.property("passed", end) === true : undefined;
}
