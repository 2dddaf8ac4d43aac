/** What the kernel was told of a document, and what is new since. Pure. */
import type { DocumentCell } from '../../protocol';
import type { Cell } from './cells';

/** The state of a document that is not in its cells. */
export interface Attention {
  dirty: boolean;
  focused: boolean;
  editing: string | null;
}

export interface News extends Attention {
  order: string[] | null;
  cells: DocumentCell[];
}

/** Who wrote a cell's present text, and the key that it had before it was moved: fields of `DocumentCell`. */
export type Origin = (cell: Cell) => Pick<DocumentCell, 'by' | 'was'>;

export class Told {
  private cells = new Map<string, Cell>();
  private order: string[] = [];
  private attention: Attention = { dirty: false, focused: false, editing: null };

  /** Everything, for `attach`. */
  all(cells: readonly Cell[], attention: Attention, origin: Origin): DocumentCell[] {
    this.note(cells, attention);
    return cells.map(cell => ({ ...cell, ...origin(cell) }));
  }

  /** What is new, null if nothing is. It counts as told then. */
  news(cells: readonly Cell[], attention: Attention, origin: Origin): News | null {
    const changed = cells.filter(cell => {
      const before = this.cells.get(cell.key);
      return before?.code !== cell.code || before.type !== cell.type;
    });
    const order = cells.map(cell => cell.key);
    const reordered = order.length !== this.order.length || order.some((key, at) => key !== this.order[at]);
    const before = this.attention;
    if (
      !changed.length && !reordered && before.dirty === attention.dirty &&
      before.focused === attention.focused && before.editing === attention.editing
    )
      return null;
    this.note(cells, attention);
    return {
      ...attention,
      order: reordered ? order : null,
      cells: changed.map(cell => ({ ...cell, ...origin(cell) }))
    };
  }

  private note(cells: readonly Cell[], attention: Attention): void {
    this.cells = new Map(cells.map(cell => [cell.key, { ...cell }]));
    this.order = cells.map(cell => cell.key);
    this.attention = { ...attention };
  }
}
