/**
 * Keeps the height of outputs while they are replaced: JupyterLab empties them when the first new one comes, and what is below would jump
 * with each value of a slider that a person drags.
 */

const QUIET = 1_000; // ms without a change after which what a cell shows has its own height again

/** @returns {(records: MutationRecord[]) => void} to be told what has changed on the page, before it is drawn */
export function steadyOutputs() {
  /** Of the outputs of cells that have changed: in px, as they were drawn last. @type {WeakMap<Node, number>} */
  const heights = new WeakMap();
  /** @type {WeakMap<Node, ReturnType<typeof setTimeout>>} */
  const timers = new WeakMap();
  const sizes = new ResizeObserver(entries => {
    for (const { target, contentRect } of entries) if (contentRect.height) heights.set(target, contentRect.height);
  });
  return records => {
    /** @type {Map<HTMLElement, number>} */
    const removed = new Map();
    for (const { target, removedNodes } of records) {
      if (target instanceof HTMLElement && target.classList.contains('jp-Cell-outputArea')) {
        removed.set(target, (removed.get(target) ?? 0) + removedNodes.length);
      }
    }
    for (const [area, count] of removed) {
      sizes.observe(area);
      const filled = area.childElementCount > 0; // else the person has cleared it
      const { style } = area.parentElement ?? area; // JupyterLab itself sets the least height of the area
      const height = heights.get(area) ?? 0;
      if (count && filled && height > (parseFloat(style.minHeight) || 0)) style.minHeight = `${height}px`;
      clearTimeout(timers.get(area));
      timers.set(area, setTimeout(() => (style.minHeight = ''), filled ? QUIET : 0));
    }
  };
}
