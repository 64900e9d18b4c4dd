// What lints found in the trace: what is wrong, whose line it is, and what to do about it.

import { byId, element, linkIfHere } from "./dom.js";
import { counted, number } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {"certain" | "likely"} Class */
/**
 * As `barscope lint --format json` prints it.
 * @typedef {{ lint: string, class: Class, device: string, register: string, code: string | null, scenario: string | null, count: number,
 *   records: number[], sentence: string, advice: string }} Finding
 */

/** So many are shown; certain ones come first. */
const FINDINGS_MAX = 200;

/** Classes with the colour of each. */
const CLASSES = /** @type {[Class, string][]} */ ([["certain", "bad"], ["likely", "warn"]]);

/**
 * Draws them, if there are any.
 * @param {Trace} trace
 */
export function drawFindings(trace) {
  /** @type {Finding[]} */
  const findings = trace.meta.findings;
  if (findings.length === 0) return;
  const counts = CLASSES.map(([name]) => /** @type {[number, Class]} */ ([findings.filter((one) => one.class === name).length, name]));
  const classes = counts.filter(([count]) => count > 0).map(([count, name]) => `${number(count)} ${name}`).join(", ");
  const allowed = trace.meta.findingsAllowed > 0 ? ` ${number(trace.meta.findingsAllowed)} more are meant.` : "";
  const more = findings.length > FINDINGS_MAX ? ` The first ${number(FINDINGS_MAX)} are listed.` : "";
  byId("linted").className = counts[0][0] > 0 ? "bad" : "warn";
  byId("linted").textContent = `${counted(findings.length, "finding")}: ${classes}.${allowed}${more}`;
  byId("found-by-lints").replaceChildren(...findings.slice(0, FINDINGS_MAX).map((finding) => drawFinding(trace, finding)));
  byId("findings").hidden = false;
}

/**
 * @param {Trace} trace
 * @param {Finding} finding
 */
function drawFinding(trace, finding) {
  const { lint, device, register, code, scenario, count, records, sentence, advice } = finding;
  const colour = CLASSES.find(([name]) => name === finding.class)?.[1] ?? "";
  const links = records.flatMap((seq) => [" ", linkIfHere(trace, seq)]);
  return element(
    "article",
    { class: "finding" },
    element("p", {}, element("span", { class: colour }, finding.class), ` ${lint}: `, element("code", {}, register), ` of ${device}`),
    element("p", {}, sentence),
    element("p", { class: "aside" }, [code ? `By ${code}` : "By no known function", ...(scenario ? [`in ${scenario}`] : [])].join(", "), ". ", counted(count, "record"), ":", ...links, count > records.length ? " .." : ""),
    element("p", {}, `To do: ${advice}`),
  );
}
