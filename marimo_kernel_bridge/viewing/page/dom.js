/** Elements from JavaScript, and the page's fixed ones. Whatever is a text stays one: nothing here parses HTML. */

/**
 * Make an element: functions become listeners, `true` and texts attributes; children are elements and texts.
 * @param {string} tag
 * @param {Record<string, any>} attributes
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/**
 * The page's element of this id.
 * @param {string} id
 * @returns {any}
 */
export const $ = (id) => document.getElementById(id);

/** @param {number} count @param {string} one */
export const counted = (count, one) => `${grouped(count)} ${one}${count === 1 ? "" : "s"}`;

/** @param {number} number */
export const grouped = (number) => number.toLocaleString("en");

/**
 * Say it to a screen reader, once it is quiet.
 * @param {string} text
 */
export function say(text) {
  $("live").textContent = text;
}

/**
 * Return a function that runs the last call only, `wait` milliseconds after it.
 * @template {any[]} T
 * @param {(...given: T) => void} act
 * @param {number} wait
 */
export function debounced(act, wait) {
  /** @type {any} */
  let timer;
  return (/** @type {T} */ ...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), wait);
  };
}

/** @param {number} value @param {number} low @param {number} high */
export const within = (value, low, high) => Math.max(low, Math.min(high, value));
