/** The cells of a document as values, and what an order changes in them. Pure. */
import type { Conflict, DocumentChange, DocumentCell } from '../../protocol';
import { baseOf } from './texts';

export type CellType = DocumentCell['type'];

export interface Cell {
  key: string;
  type: CellType;
  code: string;
}

/** A cell that an order makes; `moved` is the key of the cell that it was before. */
export interface NewCell {
  token: string;
  type: CellType;
  code: string;
  moved?: string;
}

export type Structure =
  | { kind: 'delete'; at: number }
  | { kind: 'insert'; at: number; cells: NewCell[] };

/** What to do: texts by key, and edits of the list of cells, whose places are all those before any of them. */
export interface Plan {
  texts: Map<string, string>;
  structure: Structure[];
  /** The tokens of new cells by their places afterwards. */
  places: { token: string; at: number }[];
}

/** Returns what an order changes, or why it does not fit the cells: all of it fits, or nothing is done. */
export function planned(cells: readonly Cell[], changes: readonly DocumentChange[]): Plan | Conflict[] {
  const conflicts = changes.flatMap(change => unfit(cells, changes, change));
  if (conflicts.length) return conflicts;
  const texts = new Map<string, string>();
  const list: (number | NewCell)[] = cells.map((_, at) => at);
  const placeOf = (key: string): number =>
    list.findIndex(one => (typeof one === 'number' ? cells[one]!.key === key : one.token === key || one.moved === key));
  for (const change of changes) {
    switch (change.kind) {
      case 'change':
        texts.set(change.key, change.code);
        break;
      case 'insert': {
        const { token, type, code } = change;
        list.splice(change.after === null ? 0 : placeOf(change.after) + 1, 0, { token, type, code });
        break;
      }
      case 'delete':
        list.splice(placeOf(change.key), 1);
        break;
      case 'move': {
        const from = placeOf(change.key);
        const [cell] = list.splice(from, 1);
        const to = change.after === null ? 0 : placeOf(change.after) + 1;
        if (to === from) list.splice(from, 0, cell!);
        else if (typeof cell === 'number') {
          const { key, type, code } = cells[cell]!;
          list.splice(to, 0, { token: key, type, code: texts.get(key) ?? code, moved: key });
        } else list.splice(to, 0, cell!);
      }
    }
  }
  for (const one of list) if (typeof one !== 'number' && one.moved !== undefined) texts.delete(one.moved);
  return { texts, ...structureOf(cells.length, list) };
}

function unfit(cells: readonly Cell[], changes: readonly DocumentChange[], change: DocumentChange): Conflict[] {
  const named = (key: string): Cell | undefined => cells.find(cell => cell.key === key);
  const made = (key: string): boolean => changes.some(one => one.kind === 'insert' && one.token === key);
  const missing = (key: string | null): Conflict[] =>
    key === null || named(key) || made(key) ? [] : [{ key, code: null }];
  if (change.kind === 'insert') return missing(change.after);
  if (change.kind === 'move') return [...missing(change.key), ...missing(change.after)];
  const cell = named(change.key);
  if (!cell) return [{ key: change.key, code: null }];
  return baseOf(cell.code) === change.base ? [] : [{ key: cell.key, code: cell.code }];
}

function structureOf(count: number, list: readonly (number | NewCell)[]): Pick<Plan, 'structure' | 'places'> {
  const kept = new Set(list.filter(one => typeof one === 'number'));
  const structure: Structure[] = [];
  for (let at = 0; at < count; at++) if (!kept.has(at)) structure.push({ kind: 'delete', at });
  const places: Plan['places'] = [];
  let before = 0; // the place behind the nearest kept cell above
  list.forEach((one, at) => {
    if (typeof one === 'number') {
      before = one + 1;
      return;
    }
    places.push({ token: one.token, at });
    const last = structure[structure.length - 1];
    if (last?.kind === 'insert' && last.at === before) last.cells.push(one);
    else structure.push({ kind: 'insert', at: before, cells: [one] });
  });
  return { structure, places };
}
