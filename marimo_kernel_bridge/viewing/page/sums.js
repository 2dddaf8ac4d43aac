/** The sum and the mean of selected cells: never of some of them as if they were all. */

import { grouped } from "./dom.js";
import { plain, shortened } from "./values.js";

const EXACT = /^(-?)(\d{1,400})(?:\.(\d{1,400}))?$/;

/**
 * " · sum 6 · mean 2", with how many cells are no finite numbers; empty if there is no number at all. Nulls count for nothing.
 * @param {import("./types").Cell[]} cells of columns of numbers
 */
export function sums(cells) {
  const texts = cells.filter((cell) => cell !== null).map(plain);
  const exact = texts.map((text) => EXACT.exec(text));
  const floats = texts.filter((text, at) => !exact[at] && text !== "" && Number.isFinite(Number(text))).map(Number);
  const places = Math.max(0, ...exact.map((found) => found?.[3]?.length ?? 0));
  let count = floats.length;
  let units = 0n;
  for (const found of exact)
    if (found) {
      const [, sign, whole, fraction = ""] = found;
      units += BigInt(sign + whole + fraction.padEnd(places, "0"));
      count += 1;
    }
  if (!count) return "";
  const whole = pointed(units, places);
  const sum = floats.reduce((a, b) => a + b, Number(whole));
  const left = texts.length - count;
  // The last digits of a sum of floats are those of its rounding
  const said = floats.length ? shortened(Number(sum.toPrecision(15)), 12) : whole;
  return ` · sum ${said} · mean ${shortened(sum / count, 7)}${left ? ` (without ${grouped(left)} that cannot be added)` : ""}`;
}

/** @param {bigint} units @param {number} places after the point */
function pointed(units, places) {
  const digits = String(units < 0n ? -units : units).padStart(places + 1, "0");
  const cut = digits.length - places;
  return `${units < 0n ? "-" : ""}${digits.slice(0, cut)}${places ? `.${digits.slice(cut)}` : ""}`.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}
