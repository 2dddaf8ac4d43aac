/**
 * Keeps the height of outputs while they are replaced: JupyterLab empties them when the first new one comes, and what is below would jump
 * with each value of a slider that a person drags.
 */

const QUIET = 1_000; // ms without a replacement after which what a cell shows has its own height again
const LATEST = 5_000; // ms for outputs that came so late the time before, as a figure that takes long to draw comes after its text
const REPLACED = 4; // of the newest outputs: the highest of them counts, as some are replaced before they are whole

/** @returns {(records: MutationRecord[]) => void} to be told what has changed on the page, before it is drawn */
export function steadyOutputs() {
  /** In px, as they were drawn last. @type {WeakMap<Node, number>} */
  const heights = new WeakMap();
  /**
   * By what is kept high: the heights of what was replaced there, what ends it, when the last of it was replaced, and in how many ms
   * after that all had come. @type {WeakMap<Node, {before: number[], timer: any, since: number, late: number}>}
   */
  const kept = new WeakMap();
  const sizes = new ResizeObserver(entries => {
    for (const { target, contentRect } of entries) heights.set(target, contentRect.height);
  });
  return records => {
    /** @type {Map<HTMLElement, number>} */
    const emptied = new Map();
    const more = new Set();
    for (const { target, addedNodes, removedNodes } of records) {
      if (!(target instanceof HTMLElement && target.classList.contains('jp-Cell-outputArea'))) continue;
      for (const node of addedNodes) sizes.observe(/** @type {Element} */ (node));
      for (const node of removedNodes) emptied.set(target, (emptied.get(target) ?? 0) + (heights.get(node) ?? 0));
      more.add(target);
    }
    for (const area of more) {
      const known = kept.get(area.parentElement);
      const late = known && !emptied.has(area) ? Date.now() - known.since : 0;
      if (known && late < LATEST) known.late = Math.max(known.late, late);
    }
    for (const [{ parentElement: place, childElementCount }, height] of emptied) {
      if (!place?.closest('.jp-Notebook')?.querySelector('.mkb-live')) continue; // another kernel's
      const { before, timer, late } = kept.get(place) ?? { before: [], timer: 0, late: 0 };
      clearTimeout(timer);
      const all = childElementCount ? [...before, height].slice(-REPLACED) : []; // else the person has cleared it
      place.style.minHeight = all.length ? `${Math.max(...all)}px` : '';
      const now = { before: all, since: Date.now(), late, timer: setTimeout(() => {
        place.style.minHeight = '';
        now.before = [];
      }, Math.min(Math.max(QUIET, 1.5 * late), LATEST)) };
      kept.set(place, now);
    }
  };
}
