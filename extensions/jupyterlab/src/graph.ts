/** Where the cells of a notebook and the lines between them stand in its dataflow graph. Draws nothing. */

export interface GraphCell {
  key: string;
  label: string;
  /** Keys of the cells whose names it uses. */
  upstream: readonly string[];
}

export interface Node<Cell extends GraphCell> {
  cell: Cell;
  x: number;
  y: number;
}

export interface Graph<Cell extends GraphCell> {
  nodes: Node<Cell>[];
  /** Each from a cell to one that uses its names. */
  edges: { from: Node<Cell>; to: Node<Cell> }[];
  width: number;
  height: number;
}

export const ROW = 26;
export const LAYER = 18;
const DEEPEST = 12; // layers that are further right share the last column

/** Lay cells out in the order of the notebook, one in a row, each further right than what it uses. */
export function laidOut<Cell extends GraphCell>(cells: readonly Cell[]): Graph<Cell> {
  const byKey = new Map(cells.map(cell => [cell.key, cell]));
  const layers = new Map<string, number>();
  const layer = (key: string): number => {
    const known = layers.get(key);
    if (known !== undefined) return known;
    layers.set(key, 0); // where cells use each other in a circle
    const above = byKey.get(key)!.upstream.filter(one => byKey.has(one));
    const own = above.length ? 1 + Math.max(...above.map(layer)) : 0;
    layers.set(key, own);
    return own;
  };
  const nodes = cells.map((cell, row) => ({ cell, x: Math.min(layer(cell.key), DEEPEST) * LAYER, y: row * ROW }));
  const places = new Map(nodes.map(node => [node.cell.key, node]));
  const edges = nodes.flatMap(to => to.cell.upstream.flatMap(key => (places.has(key) ? [{ from: places.get(key)!, to }] : [])));
  return { nodes, edges, width: Math.max(0, ...nodes.map(node => node.x)), height: nodes.length * ROW };
}
