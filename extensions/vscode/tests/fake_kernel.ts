/** A document and a kernel in memory: the editor does at once what VS Code does, the kernel answers as told. */
import type { Apply, Attached, FrontEndRequest, Order, Propose } from '../../protocol';
import type { Cell, Structure } from '../src/cells';
import type { Editor } from '../src/editor';
import type { Answer, Line } from '../src/requests';
import { Session } from '../src/session';
import { baseOf } from '../src/texts';
import type { Attention } from '../src/told';

export const NOBODY: Omit<Attached, 'op'> = { agents: [], paused: false, mode: 'autorun', parents: {}, open: [], cells: {}, live: '' };

export class FakeEditor implements Editor {
  path = '/n.ipynb';
  writable = true;
  ran: string[][] = [];
  said: string[] = [];
  saved = 0;
  /** What the person does while an edit waits for a pause of typing, and right before an edit is applied. */
  whileWaiting = (): void => undefined;
  beforeTexts = (): boolean => true;
  private made = 0;

  constructor(public list: Cell[]) {}

  cells(): Cell[] {
    return this.list.map(cell => ({ ...cell }));
  }

  attention(): Attention {
    return { dirty: false, focused: true, editing: null };
  }

  pauseOfTyping(): Promise<void> {
    this.whileWaiting();
    return Promise.resolve();
  }

  setTexts(texts: ReadonlyMap<string, string>): Promise<boolean> {
    if (!this.beforeTexts()) return Promise.resolve(false);
    for (const cell of this.list) cell.code = texts.get(cell.key) ?? cell.code;
    return Promise.resolve(true);
  }

  /** As VS Code does: all places are those before, the edits go from the last to the first. */
  restructure(structure: readonly Structure[]): Promise<boolean> {
    const end = (edit: Structure): number => edit.at + (edit.kind === 'delete' ? 1 : 0);
    const order = structure.map((edit, index) => ({ edit, index })).sort((a, b) => end(b.edit) - end(a.edit) || b.index - a.index);
    for (const { edit } of order)
      if (edit.kind === 'delete') this.list.splice(edit.at, 1);
      else this.list.splice(edit.at, 0, ...edit.cells.map(({ type, code }) => ({ key: `new${++this.made}`, type, code })));
    return Promise.resolve(true);
  }

  run(keys: readonly string[]): void {
    if (keys.length) this.ran.push([...keys]);
  }

  save(): Promise<boolean> {
    this.saved++;
    return Promise.resolve(true);
  }

  redraw(): void {
    // nothing is drawn
  }

  say(text: string): void {
    this.said.push(text);
  }
}

export class FakeKernel implements Line {
  asked: FrontEndRequest[] = [];
  attached: Omit<Attached, 'op'> = NOBODY;
  answers = new Map<string, Answer>();

  ask(content: FrontEndRequest): Promise<Answer> {
    this.asked.push(content);
    const known = this.answers.get(content.op);
    if (known) return Promise.resolve(known);
    if (content.op === 'attach') return Promise.resolve({ status: 'ok', op: 'attached', ...this.attached });
    return Promise.resolve({ status: 'ok', op: 'noted', attach: false, paused: null, over: false });
  }

  /** What was asked, by operation: `changed`, `done`. */
  of<T extends FrontEndRequest['op']>(op: T): Extract<FrontEndRequest, { op: T }>[] {
    return this.asked.filter((one): one is Extract<FrontEndRequest, { op: T }> => one.op === op);
  }
}

/** Holds what a kernel is asked, in the order of asking, until it is to be answered: as told, else as usual. */
export function held(kernel: FakeKernel): { op: FrontEndRequest['op']; give: (answer?: Answer) => void }[] {
  const questions: { op: FrontEndRequest['op']; give: (answer?: Answer) => void }[] = [];
  const usual = kernel.ask.bind(kernel);
  kernel.ask = content =>
    new Promise(resolve => questions.push({ op: content.op, give: answer => resolve(answer ?? usual(content)) }));
  return questions;
}

/** A session that is attached, on cells with these texts and the keys a, b, c, ... */
export async function session(...codes: string[]): Promise<{ editor: FakeEditor; kernel: FakeKernel; session: Session }> {
  const editor = new FakeEditor(codes.map((code, at) => ({ key: 'abcdefgh'[at]!, type: 'code', code })));
  const kernel = new FakeKernel();
  let clients = 0;
  const made = new Session(editor, kernel, '1', () => `client${++clients}`);
  await made.attach();
  return { editor, kernel, session: made };
}

type Content<T> = T extends Order ? Omit<T, 'to' | 'protocol'> : never;

export const order = (content: Content<Order>): Order => ({ to: null, protocol: 1, ...content }) as Order;

export const change = (key: string, before: string, code: string): Apply['changes'][number] => ({ kind: 'change', key, base: baseOf(before), code });
export const insert = (token: string, after: string | null, code = token): Apply['changes'][number] => ({ kind: 'insert', token, after, type: 'code', code });
export const apply = (op_id: string, changes: Apply['changes'], run = true, author = 'claude') => order({ kind: 'apply', op_id, author, changes, run });
export const propose = (op_id: string, changes: Propose['changes'], more: Partial<Propose> = {}) =>
  order({ kind: 'propose', op_id, author: 'claude', changes, note: '', kept: false, conflict: false, decided: [], ...more });
