/** The panel with the dataflow graph of the notebook in front. */
import { Widget } from '@lumino/widgets';
import { element } from './dom.js';
import { type GraphCell, laidOut, LAYER, type Node, ROW } from './graph.js';

const SVG = 'http://www.w3.org/2000/svg';
const MARGIN = 14;
const TEXT = 260; // px for the names

export interface ShownCell extends GraphCell {
  state: 'ok' | 'stale' | 'not run' | 'failed';
}

export class GraphPanel extends Widget {
  private cells: readonly ShownCell[] = [];
  private drawn = '';

  constructor(private readonly go: (key: string) => void) {
    super();
    this.id = 'marimo-kernel-bridge-graph';
    this.addClass('mkb-Graph');
    this.title.label = 'Dataflow';
    this.title.caption = 'Which cell uses the names of which';
  }

  /** Show these cells, in the order of the notebook; none if no notebook of ours is in front. */
  setCells(cells: readonly ShownCell[]): void {
    this.cells = cells;
    if (this.isVisible) this.draw();
  }

  protected override onAfterShow(): void {
    this.draw();
  }

  private draw(): void {
    const now = JSON.stringify(this.cells);
    if (now === this.drawn) return;
    this.drawn = now;
    if (!this.cells.length) {
      this.node.replaceChildren(element('p', '', ['No cell of a reactive notebook has run yet.']));
      return;
    }
    const graph = laidOut(this.cells);
    const svg = svgElement('svg', {
      width: String(graph.width + TEXT), height: String(graph.height + MARGIN), role: 'group', 'aria-label': 'Dataflow graph'
    });
    for (const { from, to } of graph.edges) svg.append(svgElement('path', { d: path(from, to), class: 'mkb-Graph-edge' }));
    for (const node of graph.nodes) svg.append(this.drawnNode(node));
    this.node.replaceChildren(svg);
  }

  private drawnNode({ cell, x, y }: Node<ShownCell>): SVGElement {
    const group = svgElement('g', {
      class: 'mkb-Graph-node', tabindex: '0', role: 'button', 'data-state': cell.state, 'data-key': cell.key,
      transform: `translate(${x + MARGIN} ${y + MARGIN})`, 'aria-label': `Go to the cell ${cell.label} (${cell.state})`
    });
    const text = svgElement('text', { x: '10', y: '4' });
    text.textContent = cell.state === 'ok' ? cell.label : `${cell.label} · ${cell.state}`;
    group.append(svgElement('circle', { r: '5' }), text);
    group.addEventListener('click', () => this.go(cell.key));
    group.addEventListener('keydown', event => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      this.go(cell.key);
    });
    return group;
  }
}

/** Return a line from below a cell, down its own layer, into the left side of the cell that uses it. */
function path(from: { x: number; y: number }, to: { x: number; y: number }): string {
  const [x, y, right, down] = [from.x + MARGIN, from.y + MARGIN, to.x + MARGIN, to.y + MARGIN];
  if (right > x && down > y) return `M${x} ${y + 5}V${down - ROW / 2}Q${x} ${down} ${Math.min(x + LAYER, right) - 5} ${down}H${right - 5}`;
  return `M${x - 5} ${y}C${x - LAYER} ${y} ${right - LAYER} ${down} ${right - 5} ${down}`;
}

function svgElement(name: string, attributes: Record<string, string>): SVGElement {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
