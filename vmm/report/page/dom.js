// Elements: text becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes and children; a text among them is a text node.
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string | null)} children
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/**
 * The same for drawings.
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string | null)} children
 * @returns {SVGElement}
 */
export function drawn(name, attributes = {}, ...children) {
  return fill(/** @type {SVGElement} */ (document.createElementNS(SVG, name)), attributes, children);
}

/**
 * @template {Element} T
 * @param {T} made
 * @param {Record<string, string | number>} attributes
 * @param {(Node | string | null)[]} children
 * @returns {T}
 */
function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children.filter((child) => child !== null));
  return made;
}

/**
 * The element of the page with this id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found;
}

/**
 * A link to a record.
 * @param {number} seq
 * @param {string} [text]
 * @returns {HTMLElement}
 */
export function recordLink(seq, text = `record ${seq}`) {
  return element("a", { href: `#record-${seq}` }, text);
}

/**
 * The same, or what it is of a record that the page doesn't have.
 * @param {import("./data.js").Trace} trace
 * @param {number} seq
 */
export function linkIfHere(trace, seq) {
  return trace.indexOf(seq) < 0 ? `record ${seq}, not in this page` : recordLink(seq);
}

/**
 * Facts as a list.
 * @param {[string, (Node | string)[]][]} rows
 */
export function facts(rows) {
  return element("dl", { class: "facts" }, ...rows.flatMap(([label, what]) => [element("dt", {}, label), element("dd", {}, ...what)]));
}
