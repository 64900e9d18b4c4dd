// The list of records: only what is in sight is in the page.

import { byId, element } from "./dom.js";
import { compile } from "./filter.js";
import { counted, number, summary, time } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */

const ROW = 26;
/** Browsers draw nothing that is much taller; of a longer list each pixel stands for more. */
const TALLEST = 8_000_000;

/** The list, and the search box above it. */
export class List {
  /** @param {Trace} trace */
  constructor(trace) {
    this.trace = trace;
    /** @type {Uint32Array | null} */
    this.found = null;
    this.chosen = -1;
    this.box = byId("list");
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.input = /** @type {HTMLInputElement} */ (byId("filter"));
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.search(this.input.value);
    });
    for (const example of byId("examples").querySelectorAll("button")) example.addEventListener("click", () => this.look(example.textContent ?? ""));
    this.search("");
  }

  get length() {
    return this.found ? this.found.length : this.trace.count;
  }

  /**
   * The index of the record in a row.
   * @param {number} row
   */
  index(row) {
    return this.found ? this.found[row] : row;
  }

  /**
   * Shows records that a filter takes.
   * @param {string} text
   */
  search(text) {
    const told = byId("found");
    try {
      if (text.trim() === "") this.found = null;
      else {
        const test = compile(this.trace, text);
        const found = new Uint32Array(this.trace.count);
        let length = 0;
        for (let index = 0; index < this.trace.count; index++) if (test(index)) found[length++] = index;
        this.found = found.slice(0, length);
      }
      told.textContent = this.found ? `${number(this.length)} of ${counted(this.trace.count, "record")}` : counted(this.trace.count, "record");
      told.classList.remove("warn");
    } catch (error) {
      told.textContent = error instanceof Error ? error.message : String(error);
      told.classList.add("warn");
      return;
    }
    byId("extent").style.height = `${Math.min(this.length * ROW, TALLEST)}px`;
    this.box.setAttribute("aria-rowcount", String(this.length));
    this.box.scrollTop = 0;
    this.draw();
  }

  /**
   * Shows records that a filter takes, and goes there.
   * @param {string} text
   */
  look(text) {
    this.input.value = text;
    this.search(text);
    byId("records").scrollIntoView({ block: "nearest" });
    this.box.focus({ preventScroll: true });
  }

  /** How many rows a pixel of the scroll bar stands for, times their height. */
  get scale() {
    const [whole, seen] = [this.length * ROW, this.box.clientHeight];
    return whole <= TALLEST ? 1 : (whole - seen) / (TALLEST - seen);
  }

  draw() {
    const top = this.box.scrollTop * this.scale;
    const first = Math.max(0, Math.floor(top / ROW) - 4);
    const last = Math.min(this.length, first + Math.ceil((this.box.clientHeight || 448) / ROW) + 8);
    const rows = [];
    for (let row = first; row < last; row++) rows.push(this.row(row));
    const list = byId("rows");
    list.style.transform = `translateY(${this.box.scrollTop + first * ROW - top}px)`;
    list.replaceChildren(...rows);
    const chosen = this.chosen < 0 ? "" : `row-${this.trace.seqs[this.chosen]}`;
    // The focus is the list's; a screen reader is told which row it is at.
    if (document.getElementById(chosen)) this.box.setAttribute("aria-activedescendant", chosen);
    else this.box.removeAttribute("aria-activedescendant");
  }

  /** @param {number} row */
  row(row) {
    const { trace } = this;
    const index = this.index(row);
    const seq = trace.seqs[index];
    const cpl = trace.property("cpl", index);
    const side = !trace.isAccess(index) ? "aside" : cpl === 3 ? "user" : "kernel";
    const made = trace.property("function", index) ?? "";
    const made2 = trace.property("line", index);
    const where = made === "" ? "" : `${made} ${trace.property("file", index) ?? ""}${made2 === undefined ? "" : `:${made2}`}`;
    const cells = [String(seq), time(Number(trace.own("time", index))), String(trace.property("path", index) ?? ""), summary(trace, index), where];
    const line = element("div", { class: "row", role: "row", id: `row-${seq}`, "aria-rowindex": row + 1, "aria-selected": String(index === this.chosen) }, ...cells.map((cell, at) => element("span", { role: "gridcell", class: at === 3 ? "" : at === 2 ? side : "aside", title: at > 2 ? cell : "" }, cell)));
    line.addEventListener("click", () => {
      location.hash = `record-${seq}`;
    });
    return line;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const steps = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1, PageDown: 16, PageUp: -16 });
    if (event.key === "Home" || event.key === "End") this.box.scrollTop = event.key === "Home" ? 0 : this.box.scrollHeight;
    else if (event.key === "Enter" && this.chosen >= 0) location.hash = `record-${this.trace.seqs[this.chosen]}`;
    else if (event.key in steps) {
      const at = this.found ? this.found.indexOf(this.chosen) : this.chosen;
      const row = Math.min(Math.max(at + steps[event.key], 0), this.length - 1);
      this.choose(this.index(row));
    } else return;
    event.preventDefault();
  }

  /**
   * Marks a record, and has it in sight.
   * @param {number} index
   */
  choose(index) {
    this.chosen = index;
    const row = this.found ? this.found.indexOf(index) : index;
    if (row >= 0) {
      const top = row * ROW;
      const seen = this.box.scrollTop * this.scale;
      // The heads of the columns hide a row.
      if (top < seen || top + 2 * ROW > seen + this.box.clientHeight) this.box.scrollTop = (top - this.box.clientHeight / 2) / this.scale;
    }
    this.draw();
  }
}
