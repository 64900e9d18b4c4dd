// Expectations that were held against the trace: each test with its clauses, and where and why one didn't hold.

import { byId, element, linkIfHere } from "./dom.js";
import { counted, number, summary } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {"pass" | "fail" | "inconclusive"} Verdict */
/**
 * As `barscope check --format json` prints it.
 * @typedef {{ file: string, line: number | null, test: string, clause: string, verdict: Verdict, window?: string, reason?: string,
 *   record?: number | null, nearest?: string | null, records?: number[] }} Clause
 */
/** @typedef {{ file: string, name: string, verdict: Verdict, clauses: Clause[] }} Test */

/** So many tests are shown; those that failed come first. */
const TESTS_MAX = 1000;

/** Verdicts from the worst on, with the words and the colour for each. */
const VERDICTS = /** @type {[Verdict, string, string][]} */ ([
  ["fail", "failed", "bad"],
  ["inconclusive", "can’t be decided", "warn"],
  ["pass", "passed", "good"],
]);

/** @param {Verdict} verdict */
function rank(verdict) {
  return VERDICTS.findIndex(([known]) => known === verdict);
}

/**
 * Clauses by the test that they are of.
 * @param {Clause[]} clauses
 */
function testsOf(clauses) {
  /** @type {Test[]} */
  const tests = [];
  for (const clause of clauses) {
    const last = tests.at(-1);
    if (last && last.file === clause.file && last.name === clause.test) {
      last.clauses.push(clause);
      if (rank(clause.verdict) < rank(last.verdict)) last.verdict = clause.verdict;
    } else tests.push({ file: clause.file, name: clause.test, verdict: clause.verdict, clauses: [clause] });
  }
  return tests;
}

/**
 * `2 failed, 5 passed`.
 * @param {Test[]} tests
 */
function tally(tests) {
  const counts = VERDICTS.map(([verdict, word]) => /** @type {[number, string]} */ ([tests.filter((one) => one.verdict === verdict).length, word]));
  return counts.filter(([count]) => count > 0).map(([count, word]) => `${number(count)} ${word}`).join(", ");
}

/**
 * Draws them, if there are any.
 * @param {Trace} trace
 */
export function drawExpectations(trace) {
  const tests = testsOf(trace.meta.clauses);
  if (tests.length === 0) return;
  const files = new Set(tests.map(({ file }) => file)).size;
  const more = tests.length > TESTS_MAX ? ` ${number(tests.length - TESTS_MAX)} more are not listed.` : "";
  byId("expected").className = VERDICTS[Math.min(...tests.map(({ verdict }) => rank(verdict)))][2];
  byId("expected").textContent = `${counted(tests.length, "test")} of ${counted(files, "expectation file")}: ${tally(tests)}.${more}`;
  const sorted = [...tests].sort((one, other) => rank(one.verdict) - rank(other.verdict)).slice(0, TESTS_MAX);
  byId("expectations").replaceChildren(...sorted.map((test) => drawTest(trace, test)));
  byId("tests").hidden = false;
}

/**
 * A test; what is well is folded.
 * @param {Trace} trace
 * @param {Test} test
 */
function drawTest(trace, test) {
  const [, word, colour] = VERDICTS[rank(test.verdict)];
  const clauses = test.clauses.map((clause) => drawClause(trace, clause));
  return element(
    "details",
    { class: "test", ...(test.verdict === "pass" ? {} : { open: "" }) },
    element("summary", {}, element("span", { class: colour }, word), ` ${test.name} `, element("span", { class: "aside" }, `${test.file}, ${counted(clauses.length, "clause")}`)),
    element("ul", {}, ...clauses),
  );
}

/**
 * @param {Trace} trace
 * @param {Clause} clause
 */
function drawClause(trace, clause) {
  const { file, line, verdict, window, reason, nearest } = clause;
  const [, word, colour] = VERDICTS[rank(verdict)];
  const records = clause.records ?? [];
  /** @param {number} seq */
  const around = (seq) => {
    const index = trace.indexOf(seq);
    const told = [linkIfHere(trace, seq), index < 0 ? "" : ` ${summary(trace, index)}`];
    return element("li", { class: seq === clause.record ? "decided" : "" }, ...told);
  };
  // The one that decided may be far from those around the nearest.
  const shown = clause.record === null || clause.record === undefined || records.includes(clause.record) ? records : [...records, clause.record].sort((one, other) => one - other);
  return element(
    "li",
    {},
    element("p", {}, element("span", { class: colour }, word), " ", element("code", {}, clause.clause), element("span", { class: "aside" }, line === null ? "" : ` ${file}:${line}`)),
    reason ? element("p", {}, `${window && window !== "the whole trace" ? `In ${window}: ` : ""}${reason}`) : null,
    nearest ? element("p", {}, `Nearest: ${nearest}`) : null,
    shown.length > 0 ? element("ol", { class: "around mono" }, ...shown.map(around)) : null,
  );
}
