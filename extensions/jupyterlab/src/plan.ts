/** What an order changes in a notebook, as steps by index; or why nothing may be changed. Touches no notebook. */
import type { Conflict, DocumentChange, DocumentCell } from '../../protocol';
import { baseOf } from './text.js';

/** A cell of the notebook. `editable` and `deletable` are what its metadata says. */
export interface Cell extends DocumentCell {
  editable?: boolean;
  deletable?: boolean;
}

export type Step =
  | { kind: 'text'; key: string; code: string }
  | { kind: 'insert'; at: number; token: string; type: DocumentCell['type']; code: string }
  | { kind: 'delete'; at: number }
  | { kind: 'move'; from: number; to: number };

export interface Plan {
  steps: Step[];
  conflicts: Conflict[];
  refused: string;
}

/** Plan all changes of an order, or none: with `conflicts` or `refused` there are no steps. Indexes are those at each step's turn. */
export function planned(cells: readonly Cell[], changes: readonly DocumentChange[]): Plan {
  const byKey = new Map(cells.map(cell => [cell.key, cell]));
  const places = cells.map(cell => cell.key); // later the tokens of new cells, too
  const steps: Step[] = [];
  const conflicts: Conflict[] = [];
  let refused = '';
  const conflict = (key: string) => conflicts.push({ key, code: byKey.get(key)?.code ?? null });

  for (const change of changes) {
    if (change.kind === 'insert') {
      const at = placeAfter(places, change.after);
      if (at < 0) conflict(change.after!);
      else {
        steps.push({ kind: 'insert', at, token: change.token, type: change.type, code: change.code });
        places.splice(at, 0, change.token);
      }
      continue;
    }
    const { key } = change;
    const cell = byKey.get(key);
    const index = places.indexOf(key);
    if (!cell || index < 0 || ('base' in change && change.base !== baseOf(cell.code))) {
      conflict(key);
    } else if (change.kind === 'change') {
      if (cell.editable === false) refused ||= `The cell ${key} is not editable.`;
      steps.push({ kind: 'text', key, code: change.code });
    } else if (change.kind === 'delete') {
      if (cell.deletable === false) refused ||= `The cell ${key} is not deletable.`;
      steps.push({ kind: 'delete', at: index });
      places.splice(index, 1);
    } else {
      places.splice(index, 1);
      const to = placeAfter(places, change.after);
      if (to < 0) conflict(change.after!);
      else {
        if (to !== index) steps.push({ kind: 'move', from: index, to });
        places.splice(to, 0, key);
      }
    }
  }
  return { steps: conflicts.length || refused ? [] : steps, conflicts, refused };
}

function placeAfter(places: readonly string[], after: string | null): number {
  if (after === null) return 0;
  const index = places.indexOf(after);
  return index < 0 ? -1 : index + 1;
}
