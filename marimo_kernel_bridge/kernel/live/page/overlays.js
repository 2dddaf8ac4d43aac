/** What opens over an element, like a menu: it is not cut off, and opens to where there is room. */

/** What opens below an output would be cut off by its cell, or covered by the next one or, up to JupyterLab 4.5, by the notebook's footer. */
export const RAISED =
  '.jp-Cell:has(.mkb-live:focus-within){content-visibility:visible!important;contain:none!important;position:relative;z-index:10}' +
  '.jp-WindowedPanel-viewport:has(.mkb-live:focus-within){z-index:1}';

/**
 * Return what it has to stay in: the notebook's panel. In VS Code, for which marimo has this, it is the output.
 * @param {HTMLElement | null} output
 */
export function boundaryOf(output) {
  const root = output?.getRootNode();
  if (!output || !('jpThemeLight' in document.body.dataset) || !(root instanceof ShadowRoot)) return output;
  let place = root.host.closest('.jp-Cell')?.parentElement ?? root.host.parentElement;
  while (place && !/strict|content|paint/.test(getComputedStyle(place).contain)) place = place.parentElement;
  return place;
}
