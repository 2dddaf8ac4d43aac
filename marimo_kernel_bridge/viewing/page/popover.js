/** Boxes that open beside what opened them, and close by Escape, by a click elsewhere or when what they did is done. */

import { $, el } from "./dom.js";

/**
 * @param {{left: number, bottom: number, right?: number}} beside
 * @param {string} label
 * @param {Node[]} content
 * @returns {any} the box
 */
export function openBox(beside, label, content) {
  $("box")?.hidePopover();
  const box = el("div", { id: "box", popover: "auto", role: "dialog", "aria-label": label }, ...content);
  const back = /** @type {HTMLElement} */ (document.activeElement);
  // Not kept by the browser if the box was opened by a script
  box.addEventListener("toggle", (/** @type {ToggleEvent} */ event) => {
    if (event.newState === "open") return;
    const inside = box.contains(document.activeElement) || document.activeElement === document.body;
    box.remove();
    if (inside) back?.focus({ preventScroll: true });
  });
  document.body.append(box);
  box.showPopover();
  const place = () => {
    box.style.left = `${Math.max(4, Math.min(beside.left, innerWidth - box.offsetWidth - 8))}px`;
    box.style.top = `${Math.max(4, Math.min(beside.bottom + 4, innerHeight - box.offsetHeight - 8))}px`;
  };
  place();
  new ResizeObserver(place).observe(box); // what it shows may come later
  (box.querySelector("[autofocus]") ?? box.querySelector("button, input, select"))?.focus();
  return box;
}

export const closeBox = () => $("box")?.hidePopover();

/** @param {string} text @param {() => void} act @param {Record<string, any>} [more] */
export const button = (text, act, more = {}) => el("button", { type: "button", click: act, ...more }, text);
