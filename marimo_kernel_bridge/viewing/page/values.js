/** What a cell shows, and what a person reads of filters. Values are texts: no markup of theirs is ever any. */

const NUMERIC = new Set(["integer", "number", "decimal"]);
const CELL = 300; // characters of a cell; those of more are cut
const TEMPORAL = new Set(["date", "datetime", "time"]);
const OPERATORS = {
  "=": "is", "!=": "is not", "<": "<", "<=": "≤", ">": ">", ">=": "≥", contains: "contains", starts: "starts with",
  one_of: "is one of", null: "is null", not_null: "is not null",
};

/** @param {string} kind */
export const isNumeric = (kind) => NUMERIC.has(kind);
/** @param {string} kind */
export const isTemporal = (kind) => TEMPORAL.has(kind);

/**
 * The text of a value in one line, and the class that it is drawn with.
 * @param {import("./types").Cell} value
 * @param {string} kind of the column
 * @param {boolean} [whole] whether no digit is cut
 * @returns {[string, string]}
 */
export function shown(value, kind, whole = false) {
  if (value === null) return ["null", "faint"];
  if (typeof value === "object") {
    if (value.k === "long") return [oneLine(value.t) + "…", ""];
    return [oneLine(value.t), value.k === "nested" || value.k === "bytes" ? "code" : value.k === "nan" ? "faint" : ""];
  }
  if (typeof value === "number") return [numberText(value, kind, whole), ""];
  if (value === "") return ["empty", "faint"];
  return [oneLine(String(value)), ""];
}

/**
 * A float has its point; one of many digits is cut after it, marked (the row's details and a copy have all).
 * @param {number} value
 * @param {string} kind
 * @param {boolean} whole
 */
function numberText(value, kind, whole) {
  const text = Object.is(value, -0) ? "-0" : String(value);
  if (kind !== "number") return text;
  if (Number.isInteger(value)) return text.includes("e") ? text : text + ".0";
  return whole ? text : shortened(value, 7);
}

/**
 * A number in about so many digits: those before the point all stay, those after it are cut and never rounded, and "…" says so.
 * @param {number} value
 * @param {number} digits
 */
export function shortened(value, digits) {
  const text = String(value);
  const [whole, fraction = "", power = ""] = text.split(/\.|(?=e)/);
  if (text.length <= digits + 3 || !fraction || fraction.startsWith("e")) return text;
  const zeros = /^-?0$/.test(whole) ? fraction.search(/[1-9]/) : 0;
  const kept = Math.max(2, digits - whole.replace(/^-?0?/, "").length) + zeros;
  return fraction.length <= kept ? text : `${whole}.${fraction.slice(0, kept)}…${power}`;
}

/**
 * Whether a cell has only the beginning of its value. Texts say it by their kind, all else by its end.
 * @param {import("./types").Cell | undefined} value
 */
export const isCut = (value) =>
  typeof value === "object" && value !== null && (value.k === "long" || (value.t.length > CELL && value.t.endsWith("…")));

/** @param {string} text */
const oneLine = (text) => text.replace(/\r?\n|\r/g, "↵").replace(/\t/g, "⇥");

/**
 * The whole value as a text, for copies and filters.
 * @param {import("./types").Cell | undefined} value
 */
export function plain(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? value.t : String(value);
}

/**
 * A value as `filters` of the view have it.
 * @param {import("./types").Cell} value
 */
export const filterValue = (value) => (value !== null && typeof value === "object" ? value.t : value);

/**
 * What a person typed, as a filter of this kind of column has it. Numbers that JavaScript does not keep stay texts.
 * @param {string} text
 * @param {string} kind
 */
export function typed(text, kind) {
  const trimmed = text.trim();
  if (kind === "boolean") return trimmed.toLowerCase() === "true";
  if (kind === "integer" || kind === "number") {
    const number = Number(trimmed);
    const kept = kind === "number" || Number.isSafeInteger(number) || trimmed.includes(".");
    return trimmed !== "" && Number.isFinite(number) && kept ? number : trimmed;
  }
  return isTemporal(kind) || kind === "decimal" ? trimmed : text;
}

/**
 * @param {import("./types").Filter} filter
 * @param {string} name of the column
 */
export function filterText(filter, name) {
  const operator = OPERATORS[/** @type {keyof typeof OPERATORS} */ (filter.op)] ?? filter.op;
  if (filter.op === "null" || filter.op === "not_null") return `${name} ${operator}`;
  const values = Array.isArray(filter.value) ? filter.value : [filter.value];
  const listed = values.slice(0, 5).map((value) => (value === "" ? "“”" : String(value))).join(", ");
  return `${name} ${operator} ${listed}${values.length > 5 ? ` and ${values.length - 5} more` : ""}`;
}

/**
 * @param {string} op
 * @returns {string}
 */
export const operatorText = (op) => OPERATORS[/** @type {keyof typeof OPERATORS} */ (op)];
