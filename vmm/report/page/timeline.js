// The timeline: all records in their order, a lane for whoever made them. A place is the index of a record: idle time takes no room.

import { byId, element } from "./dom.js";
import { contents, lanesOf, lowest } from "./lanes.js";
import { counted, number, summary, time } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {import("./lanes.js").Lane} Lane */
/** @typedef {import("./lanes.js").Span} Span */

/** Height of a lane and of the axis, in pixels; the style has the same. */
const LANE = 22, AXIS = 36;
/** Fewest records in sight. */
const CLOSEST = 12;
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

const LEGEND = [
  ["kernel", "access by the kernel"], ["user", "by a program"], ["bus", "change, busy"], ["good", "DMA, passed"],
  ["warn", "interrupt, handler"], ["bad", "fault, failed"], ["soft", "system call, other"],
];

/** The drawing with what moves it. */
export class Timeline {
  /** @param {Trace} trace */
  constructor(trace) {
    this.trace = trace;
    this.lanes = lanesOf(trace);
    this.chosen = -1;
    this.cursor = { lane: 0, index: -1 };
    this.from = 0;
    this.to = Math.max(trace.count, CLOSEST);
    this.width = 0;
    this.waiting = false;
    this.colours = /** @type {Record<string, string>} */ ({});
    this.canvas = /** @type {HTMLCanvasElement} */ (byId("plot"));
    this.told = byId("pointed");
    const context = this.canvas.getContext("2d");
    if (!context) throw new Error("the browser has no canvas");
    this.context = context;
    byId("lanes").replaceChildren(...this.lanes.map((lane) => element("li", { class: lane.sort, title: contents(lane) }, lane.name)));
    byId("legend").replaceChildren(...LEGEND.map(([colour, name]) => element("span", { class: `key ${colour}` }, name)));
    this.canvas.style.height = `${this.height}px`;
    this.listen();
  }

  get height() {
    return AXIS + this.lanes.length * LANE;
  }

  listen() {
    const { canvas } = this;
    new ResizeObserver(() => this.redraw()).observe(canvas);
    for (const media of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(media).addEventListener("change", () => {
        this.colours = {};
        this.draw();
      });
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.redraw());
    canvas.addEventListener("blur", () => this.redraw());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    for (const [id, factor] of /** @type {[string, number][]} */ ([["closer", 0.5], ["wider", 2], ["whole", Infinity]])) {
      byId(id).addEventListener("click", () => this.zoom(factor, (this.from + this.to) / 2));
    }
    /** @type {{ x: number, from: number, moved: boolean } | null} */
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      held = { x: event.offsetX, from: this.from, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) {
        const index = this.at(event.offsetX, event.offsetY);
        canvas.style.cursor = index < 0 ? "grab" : "pointer";
        this.tell(index);
        return;
      }
      const by = event.offsetX - held.x;
      held.moved ||= Math.abs(by) > 4;
      if (held.moved) this.show(held.from - (by * (this.to - this.from)) / this.width, this.to - this.from);
    });
    canvas.addEventListener("pointerup", (event) => {
      const index = held && !held.moved ? this.at(event.offsetX, event.offsetY) : -1;
      held = null;
      if (index >= 0) this.select(index);
    });
    canvas.addEventListener("pointercancel", () => {
      held = null;
    });
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const whole = this.from <= 0 && this.to >= this.trace.count;
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    // Who reads on downwards passes: there is nothing wider to show.
    if (whole && (sideways || event.deltaY > 0)) return;
    event.preventDefault();
    if (sideways) this.show(this.from + ((event.deltaX || event.deltaY) * (this.to - this.from)) / this.width, this.to - this.from);
    else this.zoom(1.0015 ** event.deltaY, this.from + (event.offsetX / this.width) * (this.to - this.from));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const length = this.to - this.from;
    const centre = this.cursor.index >= this.from && this.cursor.index < this.to ? this.cursor.index + 0.5 : (this.from + this.to) / 2;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") this.zoom(0.5, centre);
    else if (event.key === "-") this.zoom(2, centre);
    else if (event.key === "0") this.zoom(Infinity, centre);
    else if (event.key === "Home") this.show(0, length);
    else if (event.key === "End") this.show(this.trace.count - length, length);
    else if (event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) this.step(event.key === "ArrowLeft" ? -1 : 1);
    else if (event.key === "ArrowLeft") this.show(this.from - length / 5, length);
    else if (event.key === "ArrowRight") this.show(this.from + length / 5, length);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") this.move(event.key === "ArrowUp" ? -1 : 1);
    else if (event.key === "Enter" && this.cursor.index >= 0) this.select(this.cursor.index);
    else return;
    event.preventDefault();
  }

  /**
   * Makes what is in sight longer by a factor, around a place that stays where it is.
   * @param {number} factor
   * @param {number} centre
   */
  zoom(factor, centre) {
    const before = this.to - this.from;
    const length = Math.min(Math.max(before * factor, CLOSEST), Math.max(this.trace.count, CLOSEST));
    this.show(centre - ((centre - this.from) * length) / before, length);
  }

  /**
   * @param {number} from
   * @param {number} length
   */
  show(from, length) {
    this.from = Math.min(Math.max(from, 0), Math.max(this.trace.count - length, 0));
    this.to = this.from + length;
    this.redraw();
  }

  /**
   * To another lane, at the record nearest to the last.
   * @param {number} by
   */
  move(by) {
    const lane = this.lanes[this.cursor.lane + by];
    if (!lane) return;
    this.cursor.lane += by;
    const near = this.cursor.index >= 0 ? this.cursor.index : (this.from + this.to) / 2;
    this.point(nearest(lane, near));
  }

  /**
   * To the record before or after in this lane.
   * @param {number} by
   */
  step(by) {
    const lane = this.lanes[this.cursor.lane];
    if (!lane) return;
    const { index } = this.cursor;
    const start = index < 0 ? Math.floor(this.from) - 1 : index;
    this.point(by > 0 ? next(lane, start + 1) : before(lane, start));
  }

  /** @param {number} index */
  point(index) {
    if (index < 0) return;
    this.cursor.index = index;
    if (index < this.from || index >= this.to) this.show(index - (this.to - this.from) / 2, this.to - this.from);
    this.tell(index);
    this.redraw();
  }

  /** @param {number} index */
  select(index) {
    location.hash = `record-${this.trace.seqs[index]}`;
  }

  /**
   * Marks a record that was chosen anywhere in the page.
   * @param {number} index
   */
  choose(index) {
    this.chosen = index;
    if (index >= 0 && (index < this.from || index >= this.to)) this.show(index - (this.to - this.from) / 2, this.to - this.from);
    this.redraw();
  }

  /**
   * The record at a point of the drawing; -1 if none is near.
   * @param {number} x
   * @param {number} y
   */
  at(x, y) {
    const lane = this.lanes[Math.floor((y - AXIS) / LANE)];
    if (y < AXIS || !lane) return -1;
    const place = this.from + (x * (this.to - this.from)) / this.width;
    const found = nearest(lane, place - 0.5);
    if (found >= 0 && Math.abs(this.x(found + 0.5) - x) <= Math.max(6, this.x(1) - this.x(0))) return found;
    for (const list of lane.spans.values()) {
      const inside = list.findLast(({ from, to }) => from <= place && place < to);
      if (inside) return inside.index;
    }
    return -1;
  }

  /** @param {number} index */
  tell(index) {
    const { trace } = this;
    if (index < 0) return;
    this.told.textContent = `${trace.seqs[index]} at ${time(Number(trace.own("time", index)))}: ${summary(trace, index)}`;
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  /**
   * Where a place is drawn.
   * @param {number} place
   */
  x(place) {
    return ((place - this.from) * this.width) / (this.to - this.from);
  }

  draw() {
    const { canvas, context, trace } = this;
    const scale = devicePixelRatio || 1;
    this.width = canvas.clientWidth;
    if (this.width === 0) return;
    const [width, height] = [Math.round(this.width * scale), Math.round(this.height * scale)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (!this.colours.ink) {
      const style = getComputedStyle(document.documentElement);
      for (const name of ["ink", "soft", "line", "kernel", "user", "bus", "warn", "good", "bad", "mark", "paper"]) this.colours[name] = style.getPropertyValue(`--${name}`).trim();
      this.font = style.getPropertyValue("--mono");
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.axis();
    this.lanes.forEach((lane, at) => this.lane(lane, AXIS + at * LANE));
    if (this.to - this.from <= ARROWS_MAX) {
      for (let index = Math.floor(this.from); index < Math.min(this.to, trace.count); index++) if (trace.isAccess(index)) this.arrows(index, this.to, 0.45);
    }
    if (this.chosen >= 0) {
      const cause = trace.own("cause", this.chosen);
      const first = cause === undefined || trace.isAccess(this.chosen) ? this.chosen : trace.indexOf(Number(cause));
      if (first >= 0) this.arrows(first, Math.min(first + REACH, trace.count), 1);
      this.rule(this.chosen, this.colours.ink);
    }
    if (document.activeElement === canvas) {
      context.strokeStyle = this.colours.bus;
      context.lineWidth = 1;
      context.strokeRect(0.5, AXIS + this.cursor.lane * LANE + 0.5, this.width - 1, LANE - 1);
      if (this.cursor.index >= 0) this.rule(this.cursor.index, this.colours.bus);
    }
    const [first, last] = [Math.max(0, Math.floor(this.from)), Math.min(trace.count, Math.ceil(this.to)) - 1];
    const shown = trace.count === 0 ? "No record" : `Records ${number(trace.seqs[first])} to ${number(trace.seqs[last])}, ${time(Number(trace.own("time", first)))} to ${time(Number(trace.own("time", last)))}`;
    if (byId("range").textContent !== shown) byId("range").textContent = shown;
    canvas.setAttribute("aria-label", `Timeline of ${counted(this.lanes.length, "lane")}. ${shown}`);
  }

  axis() {
    const { context, trace, colours } = this;
    const room = 110;
    const least = ((this.to - this.from) * room) / this.width;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? 10 * power);
    context.font = `11px ${this.font}`;
    context.textBaseline = "alphabetic";
    for (let place = Math.ceil(this.from / step) * step; place < Math.min(this.to, trace.count); place += step) {
      const x = Math.round(this.x(place)) + 0.5;
      context.fillStyle = colours.line;
      context.fillRect(x - 0.5, 0, 1, this.height);
      if (x + room - 12 > this.width) continue;
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
    context.fillRect(0, top + LANE - 1, this.width, 1);
    for (const [what, list] of lane.spans) this.spans(what, list, top);
    const each = this.x(1) - this.x(0);
    const wide = Math.min(Math.max(each * 0.6, 1.5), 6);
    for (const [as, list] of lane.marks) {
      const [colour, upper, lower] = MARKS[as];
      const [y, height] = [top + (upper * LANE) / 100, ((lower - upper) * LANE) / 100];
      const [first, last] = [lowest(list, this.from - 1), lowest(list, this.to)];
      context.fillStyle = colours[colour];
      if (last - first <= 2 * this.width) {
        context.globalAlpha = each < 1 ? 0.7 : 1;
        for (let at = first; at < last; at++) this.mark(as, this.x(list[at] + 0.5), y, wide, height);
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
    const each = (this.to - this.from) / this.width;
    let at = first;
    for (let x = 0; x < this.width; x++) {
      const until = lowest(list, this.from + (x + 1) * each);
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
      if (room > 24) this.text(summary(trace, list[at]).replace(/^mark /, ""), this.x(list[at] + 0.5) + 6, top, room);
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
    for (let at = firstEnding(list, this.from); at < list.length && list[at].from < this.to; at++) {
      const { from, to, index } = list[at];
      const [left, right] = [Math.max(this.x(from), -4), Math.min(this.x(to), this.width + 4)];
      // What is within a pixel that is drawn already adds nothing.
      if (right <= end || to <= this.from) continue;
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
    const [x, tip] = [this.x(from + 0.5), this.x(to + 0.5)];
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
    this.context.fillRect(Math.round(this.x(index + 0.5)), AXIS - 6, 1, this.height - AXIS + 6);
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

/**
 * The first span that may end after a place: one before it that holds it, else the first that begins from there on.
 * @param {Span[]} list
 * @param {number} place
 */
function firstEnding(list, place) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].from < place) low = middle + 1;
    else high = middle;
  }
  // Those that hold others began little before them.
  const earliest = Math.max(0, low - 256);
  const holding = list.slice(earliest, low).findIndex(({ to }) => to > place);
  return holding < 0 ? low : earliest + holding;
}

/**
 * The record of a lane that is nearest to a place; -1 if it has none.
 * @param {Lane} lane
 * @param {number} place
 */
function nearest(lane, place) {
  const [left, right] = [before(lane, Math.ceil(place)), next(lane, Math.ceil(place))];
  if (left < 0 || right < 0) return Math.max(left, right);
  return place - left < right - place ? left : right;
}

/**
 * The first record of a lane from an index on; -1 if there is none.
 * @param {Lane} lane
 * @param {number} index
 */
function next(lane, index) {
  let found = -1;
  for (const list of lane.marks.values()) {
    const at = lowest(list, index);
    if (at < list.length && (found < 0 || list[at] < found)) found = list[at];
  }
  return found >= 0 ? found : (lane.spans.get("scenario")?.find(({ from }) => from >= index)?.index ?? -1);
}

/**
 * The last record of a lane before an index; -1 if there is none.
 * @param {Lane} lane
 * @param {number} index
 */
function before(lane, index) {
  let found = -1;
  for (const list of lane.marks.values()) {
    const at = lowest(list, index);
    if (at > 0 && list[at - 1] > found) found = list[at - 1];
  }
  return found >= 0 ? found : (lane.spans.get("scenario")?.findLast(({ from }) => from < index)?.index ?? -1);
}
