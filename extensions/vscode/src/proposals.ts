/** The changes that agents propose to one document, which stay outside of its text until the person decides. Pure. */
import type { DocumentChange, Propose } from '../../protocol';
import type { Cell } from './cells';
import { lineDiff } from './texts';

/** One change of a proposal. `index` is its place there. */
export interface Open {
  order: Propose;
  index: number;
  change: DocumentChange;
}

export class Proposals {
  private orders = new Map<string, Propose>();
  private undecided = new Map<string, Set<number>>();
  /** Keys of the cells that accepted insertions made, by order and token. */
  private made = new Map<string, string>();
  private edits = new Map<string, string>();

  add(order: Propose): void {
    this.orders.set(order.op_id, order);
    const all = order.changes.map((_, index) => index);
    this.undecided.set(order.op_id, new Set(all.filter(index => !order.decided.includes(index))));
  }

  withdraw(op_id: string): void {
    this.orders.delete(op_id);
    this.undecided.delete(op_id);
    for (const id of this.edits.keys()) if (id.startsWith(`${op_id} `)) this.edits.delete(id);
  }

  /** Takes what is open by the kernel's account for all that there is. Edits of the person stay with theirs. */
  replace(open: readonly Propose[]): void {
    const there = new Set(open.map(order => order.op_id));
    for (const op_id of [...this.orders.keys()]) if (!there.has(op_id)) this.withdraw(op_id);
    for (const order of open) this.add(order);
  }

  get all(): Open[] {
    return [...this.orders.values()].flatMap(order =>
      order.changes.flatMap((change, index) =>
        this.isOpen(order.op_id, index) ? [{ order, index, change: this.withEdit(order.op_id, index, change) }] : []
      )
    );
  }

  isOpen(op_id: string, index: number): boolean {
    return this.undecided.get(op_id)?.has(index) ?? false;
  }

  find(op_id: string, index: number): Open | null {
    return this.all.find(one => one.order.op_id === op_id && one.index === index) ?? null;
  }

  /** The person has edited the text of a change, which is what is accepted then. False if it has none, or is decided. */
  edit(op_id: string, index: number, code: string): boolean {
    const change = this.find(op_id, index)?.change;
    if (!change || !('code' in change)) return false;
    this.edits.set(`${op_id} ${index}`, code);
    return true;
  }

  /** The text that the person has made of a change, null if they have not edited it. */
  editOf(op_id: string, index: number): string | null {
    return this.edits.get(`${op_id} ${index}`) ?? null;
  }

  /** Notes a decision; returns how many changes of the proposal are still open. `key`: the cell that was made. */
  decide({ order, index, change }: Open, key: string | null): number {
    if (key !== null && change.kind === 'insert') this.made.set(`${order.op_id} ${change.token}`, key);
    this.undecided.get(order.op_id)?.delete(index);
    const rest = this.undecided.get(order.op_id)?.size ?? 0;
    if (!rest) this.withdraw(order.op_id);
    return rest;
  }

  /** The key of the cell at which a change is shown; null: at the first one. */
  anchor({ order, change }: Open): string | null {
    return change.kind === 'insert' ? this.place(order, change.after) : change.key;
  }

  /** The changes as they are applied now: after cells that exist, made for the texts that are there. */
  applicable(open: readonly Open[], cells: readonly Cell[], baseOf: (text: string) => string): DocumentChange[] {
    const together = new Set(open.flatMap(({ change }) => (change.kind === 'insert' ? [change.token] : [])));
    return open.map(({ order, change }) => {
      switch (change.kind) {
        case 'insert':
          return { ...change, after: this.place(order, change.after, together) };
        case 'move':
          return { ...change, after: this.place(order, change.after, together) };
        default: {
          const cell = cells.find(cell => cell.key === change.key);
          return cell ? { ...change, base: baseOf(cell.code) } : change;
        }
      }
    });
  }

  /** The changes whose cell does not exist any more. */
  gone(cells: readonly Cell[]): Open[] {
    const keys = new Set(cells.map(cell => cell.key));
    return this.all.filter(one => {
      const anchor = this.anchor(one);
      return anchor !== null && !keys.has(anchor);
    });
  }

  /** A cell has another key: it was moved. */
  renamed(before: string, after: string): void {
    for (const [op_id, order] of this.orders)
      this.orders.set(op_id, {
        ...order,
        changes: order.changes.map(change => {
          const moved = 'key' in change && change.key === before ? { ...change, key: after } : change;
          return 'after' in moved && moved.after === before ? { ...moved, after } : moved;
        })
      });
    for (const [token, key] of this.made) if (key === before) this.made.set(token, after);
  }

  private withEdit(op_id: string, index: number, change: DocumentChange): DocumentChange {
    const code = this.editOf(op_id, index);
    return code === null ? change : ({ ...change, code } as DocumentChange); // only a change with a text can be edited
  }

  /** Where an insertion goes: its place, or that of the insertion which it follows, if that one is not there (yet). */
  private place(order: Propose, after: string | null, together: ReadonlySet<string> = new Set()): string | null {
    for (let at = after, steps = 0; at !== null && steps <= order.changes.length; steps++) {
      const made = this.made.get(`${order.op_id} ${at}`);
      if (made !== undefined) return made;
      if (together.has(at)) return at;
      const insertion = order.changes.find(one => one.kind === 'insert' && one.token === at);
      if (insertion?.kind !== 'insert') return at;
      if (insertion.after === null) return null;
      at = insertion.after;
    }
    return after;
  }
}

/** The proposed change as lines with ` `, `-` or `+`; a moved cell has none. */
export function diffOf(change: DocumentChange, present: string): string[] {
  switch (change.kind) {
    case 'change':
      return lineDiff(present, change.code);
    case 'insert':
      return lineDiff('', change.code);
    case 'delete':
      return lineDiff(present, '');
    case 'move':
      return [];
  }
}

const WHAT: Record<DocumentChange['kind'], string> = {
  change: 'change',
  insert: 'new cell below',
  delete: 'delete this cell',
  move: 'move this cell'
};

/** What is proposed, in a few words: the status bar of a cell is narrow, and two proposals may be at one cell. */
export function whatOf({ order, change }: Open): string {
  const what = change.kind === 'insert' && change.after === null ? 'new first cell' : WHAT[change.kind];
  return order.kept ? `${what} (made while closed)` : what;
}
