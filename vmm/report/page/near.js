// Records and spans of a lane that are near a place: by halves, since a lane can have a million.

/** @typedef {import("./lanes.js").Lane} Lane */
/** @typedef {import("./lanes.js").Span} Span */

/**
 * The first place of a sorted list that is not below a number.
 * @param {Uint32Array} list
 * @param {number} from
 */
export function lowest(list, from) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The first span that may end after a place: one before it that holds it, else the first that begins from there on.
 * @param {Span[]} list
 * @param {number} place
 */
export function firstEnding(list, place) {
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
export function nearest(lane, place) {
  const [left, right] = [before(lane, Math.ceil(place)), next(lane, Math.ceil(place))];
  if (left < 0 || right < 0) return Math.max(left, right);
  return place - left < right - place ? left : right;
}

/**
 * The first record of a lane from an index on; -1 if there is none.
 * @param {Lane} lane
 * @param {number} index
 */
export function next(lane, index) {
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
export function before(lane, index) {
  let found = -1;
  for (const list of lane.marks.values()) {
    const at = lowest(list, index);
    if (at > 0 && list[at - 1] > found) found = list[at - 1];
  }
  return found >= 0 ? found : (lane.spans.get("scenario")?.findLast(({ from }) => from < index)?.index ?? -1);
}
