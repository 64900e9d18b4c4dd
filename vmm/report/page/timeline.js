// The timeline: all records in their order, a lane for whoever made them. A place is the index of a record: idle time takes no room.

import { byId, element } from "./dom.js";
import { contents, lanesOf } from "./lanes.js";
import { before, nearest, next } from "./near.js";
import { Plot } from "./plot.js";
import { CLOSEST } from "./sight.js";
import { counted, number, summary, time } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */

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
    this.waiting = false;
    this.canvas = /** @type {HTMLCanvasElement} */ (byId("plot"));
    this.plot = new Plot(this.canvas, trace, this.lanes);
    this.sight = this.plot.sight;
    this.told = byId("pointed");
    byId("lanes").replaceChildren(...this.lanes.map((lane) => element("li", { class: lane.sort, title: contents(lane) }, ...label(lane.name))));
    byId("legend").replaceChildren(...LEGEND.map(([colour, name]) => element("span", { class: `key ${colour}` }, name)));
    this.listen();
  }

  listen() {
    const { canvas, plot, sight } = this;
    new ResizeObserver(() => this.redraw()).observe(canvas);
    for (const media of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(media).addEventListener("change", () => {
        plot.recolour();
        this.draw();
      });
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.redraw());
    canvas.addEventListener("blur", () => this.redraw());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    for (const [id, factor] of /** @type {[string, number][]} */ ([["closer", 0.5], ["wider", 2], ["whole", Infinity]])) {
      byId(id).addEventListener("click", () => this.zoom(factor, sight.centre));
    }
    /** @type {{ x: number, from: number, moved: boolean } | null} */
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      held = { x: event.offsetX, from: sight.from, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) {
        const index = plot.at(event.offsetX, event.offsetY);
        canvas.style.cursor = index < 0 ? "grab" : "pointer";
        this.tell(index);
        return;
      }
      const by = event.offsetX - held.x;
      held.moved ||= Math.abs(by) > 4;
      if (held.moved) this.show(held.from - by * sight.each, sight.length);
    });
    canvas.addEventListener("pointerup", (event) => {
      const index = held && !held.moved ? plot.at(event.offsetX, event.offsetY) : -1;
      held = null;
      if (index >= 0) this.select(index);
    });
    canvas.addEventListener("pointercancel", () => {
      held = null;
    });
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const { sight } = this;
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    // Who reads on downwards passes: there is nothing wider to show.
    if (sight.isWhole && (sideways || event.deltaY > 0)) return;
    event.preventDefault();
    if (sideways) this.show(sight.from + (event.deltaX || event.deltaY) * sight.each, sight.length);
    else this.zoom(1.0015 ** event.deltaY, sight.place(event.offsetX));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { sight } = this;
    const { from, length } = sight;
    const centre = sight.has(this.cursor.index) ? this.cursor.index + 0.5 : sight.centre;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") this.zoom(0.5, centre);
    else if (event.key === "-") this.zoom(2, centre);
    else if (event.key === "0") this.zoom(Infinity, centre);
    else if (event.key === "Home") this.show(0, length);
    else if (event.key === "End") this.show(this.trace.count - length, length);
    else if (event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) this.step(event.key === "ArrowLeft" ? -1 : 1);
    else if (event.key === "ArrowLeft") this.show(from - length / 5, length);
    else if (event.key === "ArrowRight") this.show(from + length / 5, length);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") this.move(event.key === "ArrowUp" ? -1 : 1);
    else if (event.key === "Enter" && this.cursor.index >= 0) this.select(this.cursor.index);
    else return;
    event.preventDefault();
  }

  /**
   * @param {number} factor
   * @param {number} centre
   */
  zoom(factor, centre) {
    this.sight.zoom(factor, centre);
    this.redraw();
  }

  /**
   * @param {number} from
   * @param {number} length
   */
  show(from, length) {
    this.sight.show(from, length);
    this.redraw();
  }

  /**
   * Shows records from one sequence number to another.
   * @param {number} first
   * @param {number} last
   */
  range(first, last) {
    const from = this.trace.from(first);
    this.show(from, Math.max(this.trace.from(last + 1) - from, CLOSEST));
  }

  /**
   * Shows the first scenario of this name, with a record on each side.
   * @param {string} name
   */
  scenario(name) {
    const spans = this.lanes.flatMap((lane) => lane.spans.get("scenario") ?? []);
    const span = spans.find(({ index }) => this.trace.property("scenario", index) === name);
    if (span) this.show(span.from - 1, Math.max(span.to - span.from + 2, CLOSEST));
  }

  /**
   * To another lane, at the record nearest to the last.
   * @param {number} by
   */
  move(by) {
    const lane = this.lanes[this.cursor.lane + by];
    if (!lane) return;
    this.cursor.lane += by;
    const near = this.cursor.index >= 0 ? this.cursor.index : this.sight.centre;
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
    const start = index < 0 ? Math.floor(this.sight.from) - 1 : index;
    this.point(by > 0 ? next(lane, start + 1) : before(lane, start));
  }

  /** @param {number} index */
  point(index) {
    if (index < 0) return;
    this.cursor.index = index;
    this.sight.reach(index);
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
    if (index >= 0) this.sight.reach(index);
    this.redraw();
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

  draw() {
    const { canvas, plot, sight, trace } = this;
    plot.draw(this.chosen, document.activeElement === canvas ? this.cursor : null);
    const [first, last] = [Math.max(0, Math.floor(sight.from)), Math.min(trace.count, Math.ceil(sight.to)) - 1];
    const shown = trace.count === 0 ? "No record" : `Records ${number(trace.seqs[first])} to ${number(trace.seqs[last])}, ${time(Number(trace.own("time", first)))} to ${time(Number(trace.own("time", last)))}`;
    if (byId("range").textContent !== shown) byId("range").textContent = shown;
    canvas.setAttribute("aria-label", `Timeline of ${counted(this.lanes.length, "lane")}. ${shown}`);
  }
}

/**
 * A lane's name, of which a process's number stays where there is no room for all of it.
 * @param {string} name
 */
function label(name) {
  const [, head, number] = /^(.*)( \d+)$/.exec(name) ?? [];
  return head === undefined ? [name] : [element("span", {}, head), element("span", {}, number)];
}
