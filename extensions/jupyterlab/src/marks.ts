/** What stands at the cells: whose the text is, and whether it is what ran. */
import type { CellState } from '../../protocol';
import { button, element } from './dom.js';
import type { NotebookEditor } from './editor.js';

const PERSON = ['', 'notebook'];

/** The author of a text as an agent's name, null for the person. */
export function agentOf(author: string | null | undefined): string | null {
  return author && !PERSON.includes(author) ? author : null;
}

interface Written {
  author: string;
  op: string | null;
  code: string;
}

export class Marks {
  private readonly written = new Map<string, Written>();
  private states = new Map<string, CellState>();

  constructor(
    private readonly editor: NotebookEditor,
    private readonly undo: (op: string) => void
  ) {}

  /** Return which agent wrote a text, null if the person did. */
  authorOf(key: string, code: string): string | null {
    const written = this.written.get(key);
    return written?.code === code ? written.author : null;
  }

  get known(): ReadonlyMap<string, CellState> {
    return this.states;
  }

  /** An agent's operation gave these cells their present texts. */
  wrote(author: string | null, op: string, keys: readonly string[]): void {
    for (const key of keys) {
      const code = this.editor.text(key);
      if (author === null || code === null) this.written.delete(key);
      else this.written.set(key, { author, op, code });
    }
    this.show(keys);
  }

  /** All states, after attaching. A page that was reloaded learns who wrote what ran. */
  learn(states: Record<string, CellState>): void {
    this.states = new Map(Object.entries(states));
    for (const [key, state] of this.states) {
      const author = agentOf(state.edited_by);
      const code = this.editor.text(key);
      if (author && code !== null && !state.changed && !this.written.has(key)) this.written.set(key, { author, op: null, code });
    }
    this.showAll();
  }

  update(states: Record<string, CellState>): void {
    for (const [key, state] of Object.entries(states)) this.states.set(key, state);
    this.show(Object.keys(states));
  }

  forget(): void {
    this.states.clear();
    this.showAll();
  }

  /** The notebook changed: the person's next key in a cell ends the attribution. */
  followTexts(): void {
    for (const [key, { code }] of this.written) {
      if (this.editor.text(key) === code) continue;
      this.written.delete(key);
      this.show([key]);
    }
  }

  /** Cells were moved or restored, which makes new ones on the page. */
  showAll(): void {
    this.show(new Set([...this.states.keys(), ...this.written.keys()]));
  }

  private show(keys: Iterable<string>): void {
    for (const key of keys) {
      const cell = this.editor.cell(key);
      if (!cell) continue;
      cell.node.querySelector(':scope > .mkb-Marks')?.remove();
      const written = this.written.get(key);
      cell.toggleClass('mkb-byAgent', !!written);
      const marks = [...this.marksOf(cell.model.type, this.states.get(key)), ...this.pill(written)];
      if (marks.length) cell.node.append(element('div', 'mkb-Marks', marks));
    }
  }

  private *marksOf(type: string, state: CellState | undefined): Iterable<HTMLElement> {
    if (!state || type !== 'code') return;
    if (state.changed && state.status !== 'new') {
      yield element('span', 'mkb-Mark', ['not run'], { title: 'The text differs from what ran.' });
    }
    if (state.stale) {
      yield element('span', 'mkb-Mark', ['stale'], { title: 'What this cell uses has changed since it ran.' });
    }
  }

  private *pill(written: Written | undefined): Iterable<HTMLElement> {
    if (!written) return;
    const { author, op } = written;
    const pill = element('span', 'mkb-Author', [element('span', 'mkb-Name', [author])], { title: `Written by ${author}` });
    if (op !== null) pill.append(button('Undo', `Undo what ${author} changed`, 'mkb-undo', () => this.undo(op)));
    yield pill;
  }
}
