/** What the loader changes in JupyterLab's model of a notebook: outputs on the page, and what is saved of them. Never a cell's code. */
/** @import {Bundle, Notebook, Output} from './messages.js' */

/** The static forms of a kernel's elements, as they are to be saved. @typedef {{forms: Map<string, Bundle>}} Forms */

/**
 * Show the outputs of a cell that another page ran: JupyterLab drops what comes later for those.
 * @param {Notebook | null | undefined} notebook @param {string} id @param {Output[]} outputs
 */
export function showOutputs(notebook, id, outputs) {
  for (const cell of notebook?.cells ?? []) {
    if (cell.id !== id || !cell.outputs) continue;
    if (JSON.stringify(cell.outputs.toJSON()) !== JSON.stringify(outputs)) cell.outputs.fromJSON(outputs);
  }
}

const SAVING = Symbol('saves static forms');

/**
 * Have a notebook saved with the static forms as they are now, while the page goes on with live ones. Redrawing an output
 * instead would end a drag, or close what is open.
 * @param {(Notebook & {[SAVING]?: boolean}) | null | undefined} notebook @param {ReadonlyMap<string, Forms>} lines
 */
export function saveForms(notebook, lines) {
  if (!notebook || notebook[SAVING]) return;
  notebook[SAVING] = true;
  const toJSON = notebook.toJSON.bind(notebook);
  notebook.toJSON = () => {
    const json = toJSON();
    for (const cell of json.cells) for (const output of cell.outputs ?? []) present(output, lines);
    return json;
  };
}

/** @param {Output} output @param {ReadonlyMap<string, Forms>} lines */
function present(output, lines) {
  const html = [output.data?.['text/html'] ?? ''].flat().join('');
  const [, tag] = /<div ([^>]*\bclass="mkb-live"[^>]*)>/.exec(html) ?? [];
  if (!tag) return;
  const [key, out] = ['kernel', 'out'].map(name => new RegExp(`data-mkb-${name}="([^"]*)"`).exec(tag)?.[1] ?? '');
  const form = lines.get(key)?.forms.get(out);
  if (form) output.data = { ...output.data, ...form };
}
