// Scenarios with how they ended.

import { byId, element, recordLink } from "./dom.js";
import { counted, number, time } from "./words.js";

/** @typedef {import("./data.js").Trace} Trace */
/** @typedef {{ name: string, began: number, ns: number, passed: boolean | null, summary: string }} Scenario */

/** So many are shown; those that failed come first. */
const SHOWN_MAX = 1000;

/**
 * Draws them, those that failed first.
 * @param {Trace} trace
 */
export function drawScenarios(trace) {
  /** @type {Scenario[]} */
  const all = trace.meta.scenarios;
  if (all.length === 0) return;
  const rank = (/** @type {Scenario} */ one) => (one.passed === false ? 0 : one.passed === null ? 1 : 2);
  const sorted = [...all].sort((one, other) => rank(one) - rank(other) || one.began - other.began);
  const counts = [0, 1, 2].map((wanted) => all.filter((one) => rank(one) === wanted).length);
  const words = [counts[0] > 0 ? `${number(counts[0])} failed` : "", counts[1] > 0 ? `${number(counts[1])} did not end` : "", `${number(counts[2])} passed`];
  const more = all.length - SHOWN_MAX + trace.meta.scenariosLeftOut;
  byId("verdict").className = counts[0] > 0 ? "bad" : counts[1] > 0 ? "warn" : "good";
  byId("verdict").textContent = `${counted(all.length, "scenario")}: ${words.filter(Boolean).join(", ")}.${all.length > SHOWN_MAX || trace.meta.scenariosLeftOut > 0 ? ` ${number(Math.max(more, trace.meta.scenariosLeftOut))} more are not listed.` : ""}`;
  const rows = sorted.slice(0, SHOWN_MAX).map((one) => {
    const [word, colour] = one.passed === false ? ["failed", "bad"] : one.passed ? ["passed", "good"] : ["did not end", "warn"];
    return element(
      "tr",
      {},
      element("td", { class: colour }, word),
      element("th", { scope: "row" }, element("code", {}, trace.indexOf(one.began) < 0 ? one.name : recordLink(one.began, one.name))),
      element("td", {}, one.summary),
      element("td", {}, time(one.ns)),
    );
  });
  const heads = ["verdict", "scenario", "summary", "host time"].map((head) => element("th", { scope: "col" }, head));
  byId("scenarios").replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
  byId("tests").hidden = false;
}
