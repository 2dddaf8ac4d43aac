/** Changes a document as agents order it, and knows which text is whose. Runs nothing, and tells the kernel nothing. */
import type { Apply, Conflict } from '../../protocol';
import { type Cell, type Plan, planned } from './cells';
import type { Editor } from './editor';

export interface Authorship {
  author: string;
  code: string;
  op_id: string;
}

/** The keys of new and moved cells by their tokens, and the cells to run. */
export interface Applied {
  added: Map<string, string>;
  run: string[];
}

export type Unfit = { result: 'conflict'; conflicts: Conflict[] } | { result: 'refused'; message: string };

const REMEMBERED = 100;
const NOTEBOOK = 'notebook'; // the author of what the person undid

export class Changes {
  private authors = new Map<string, Authorship>();
  private operations: { op_id: string; author: string }[] = [];

  constructor(
    private readonly editor: Editor,
    private readonly onMoved: (before: string, after: string) => void
  ) {}

  /** Who wrote the present text of a cell, null for the person. */
  authorOf(cell: Cell): Authorship | null {
    const known = this.authors.get(cell.key);
    return known?.code === cell.code ? known : null;
  }

  /** A cell has another key, because it was moved. */
  moved(before: string, after: string): void {
    const author = this.authors.get(before);
    if (author) this.authors.set(after, author);
    this.authors.delete(before);
  }

  /** Takes an agent's operation out of those that can be undone, by default the newest; null if there is none. */
  take(op_id?: string): { op_id: string; author: string } | null {
    const one = this.operations.findLast(one => op_id === undefined || one.op_id === op_id);
    this.operations = this.operations.filter(other => other !== one);
    return one ?? null;
  }

  /** Changes the document as a whole, or not at all. */
  async apply(author: string, op_id: string, changes: Apply['changes']): Promise<Applied | Unfit> {
    if (!this.editor.writable) return { result: 'refused', message: 'The notebook is read-only.' };
    if (changes.some(change => change.kind !== 'change')) await this.editor.pauseOfTyping();
    const before = this.editor.cells();
    const plan = planned(before, changes);
    if (Array.isArray(plan)) return { result: 'conflict', conflicts: plan };
    const byPerson = new Map(this.authors);
    const isAgent = author !== NOTEBOOK;
    const authored = (key: string, code: string): void => {
      if (isAgent) this.authors.set(key, { author, code, op_id });
      else this.authors.delete(key);
    };
    for (const [key, code] of plan.texts) authored(key, code);
    if (plan.texts.size && !(await this.editor.setTexts(plan.texts))) {
      this.authors = byPerson;
      return { result: 'conflict', conflicts: this.presentTexts([...plan.texts.keys()]) };
    }
    const added = await this.restructured(plan, before, authored);
    if (!added) {
      this.authors = byPerson;
      const texts = before.filter(cell => plan.texts.has(cell.key)).map(cell => [cell.key, cell.code] as const);
      if (texts.length) await this.editor.setTexts(new Map(texts));
      return { result: 'conflict', conflicts: this.presentTexts(changes.flatMap(one => ('key' in one ? [one.key] : []))) };
    }
    if (isAgent) this.operations = [...this.operations, { op_id, author }].slice(-REMEMBERED);
    const code = new Set(this.editor.cells().flatMap(cell => (cell.type === 'code' ? [cell.key] : [])));
    const changed = changes.flatMap(change =>
      change.kind === 'insert' ? [added.get(change.token)!] : change.kind === 'change' ? [added.get(change.key) ?? change.key] : []
    );
    return { added, run: [...new Set(changed)].filter(key => code.has(key)) };
  }

  /** Returns the keys of new cells by token, null if the list of cells has changed meanwhile. */
  private async restructured(
    plan: Plan, before: readonly Cell[], authored: (key: string, code: string) => void
  ): Promise<Map<string, string> | null> {
    const added = new Map<string, string>();
    if (!plan.structure.length) return added;
    const unchanged = this.editor.cells().map(cell => cell.key).join('\n') === before.map(cell => cell.key).join('\n');
    if (!unchanged || !(await this.editor.restructure(plan.structure))) return null;
    const cells = this.editor.cells();
    const made = new Map(plan.structure.flatMap(edit => (edit.kind === 'insert' ? edit.cells.map(cell => [cell.token, cell]) : [])));
    for (const { token, at } of plan.places) {
      const cell = cells[at]!;
      added.set(token, cell.key);
      const { moved } = made.get(token)!;
      if (moved !== undefined) this.onMoved(moved, cell.key);
      const changedToo = moved === undefined || before.find(one => one.key === moved)?.code !== cell.code;
      if (changedToo) authored(cell.key, cell.code);
    }
    return added;
  }

  private presentTexts(keys: readonly string[]): Conflict[] {
    const cells = this.editor.cells();
    return keys.map(key => ({ key, code: cells.find(cell => cell.key === key)?.code ?? null }));
  }
}
