/**
 * Keeps the height of outputs while they are replaced: JupyterLab empties them when the first new one comes, and what is below would jump
 * with each value of a slider that a person drags.
 */

const QUIET = 1_000; // ms without a replacement after which what a cell shows has its own height again
const REPLACED = 4; // of the newest outputs: the highest of them counts, as some are replaced before they are whole

/** @returns {(records: MutationRecord[]) => void} to be told what has changed on the page, before it is drawn */
export function steadyOutputs() {
  /** In px, as they were drawn last. @type {WeakMap<Node, number>} */
  const heights = new WeakMap();
  /** By what is kept high: the heights of what was replaced there, and what ends it. @type {WeakMap<Node, [number[], any]>} */
  const kept = new WeakMap();
  const sizes = new ResizeObserver(entries => {
    for (const { target, contentRect } of entries) heights.set(target, contentRect.height);
  });
  return records => {
    /** @type {Map<HTMLElement, number>} */
    const emptied = new Map();
    for (const { target, addedNodes, removedNodes } of records) {
      if (!(target instanceof HTMLElement && target.classList.contains('jp-Cell-outputArea'))) continue;
      for (const node of addedNodes) sizes.observe(/** @type {Element} */ (node));
      for (const node of removedNodes) emptied.set(target, (emptied.get(target) ?? 0) + (heights.get(node) ?? 0));
    }
    for (const [{ parentElement: place, childElementCount }, height] of emptied) {
      if (!place?.closest('.jp-Notebook')?.querySelector('.mkb-live')) continue; // another kernel's
      const [before, timer] = kept.get(place) ?? [[], 0];
      clearTimeout(timer);
      const all = childElementCount ? [...before, height].slice(-REPLACED) : []; // else the person has cleared it
      place.style.minHeight = all.length ? `${Math.max(...all)}px` : '';
      kept.set(place, [all, setTimeout(() => {
        place.style.minHeight = '';
        kept.delete(place);
      }, QUIET)]);
    }
  };
}
