/** Proposals that wait for the person: a card at each cell, a bar above the notebook. Their texts are not in the notebook. */
import type { Extension } from '@codemirror/state';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { type PanelLayout, Widget } from '@lumino/widgets';
import type { DocumentChange, Propose } from '../../protocol';
import { Card, type Shown } from './card.js';
import { button, element } from './dom.js';
import type { NotebookEditor } from './editor.js';
import { changed as withChanges, followed } from './rebase.js';
import { baseOf } from './text.js';

const LINES = 3; // of the bar; it scrolls where there are more proposals

/** One change of a proposal. */
export interface Open {
  readonly order: Propose;
  readonly number: number;
  readonly change: DocumentChange;
  /** The text of the cell as last seen, and the proposed text for it, which the person may edit. */
  live: string | null;
  text: string | null;
  card: Card | null;
}

export interface Decisions {
  /** Make the change, and `drop` the proposal if that works. Returns the cell that an insertion made. */
  accept(open: Open, change: DocumentChange): string | null;
  reject(open: Open, decision: 'rejected' | 'gone'): void;
}

export class Proposals {
  private open: Open[] = [];
  private readonly made = new Map<string, string>(); // cells that accepted insertions made, by operation and token
  private readonly bar = new Widget();
  private deciding: Open | null = null;
  private last: Open | null = null; // to which Show went last
  private drawn: readonly Open[] = []; // in the bar

  constructor(
    private readonly panel: NotebookPanel,
    private readonly editor: NotebookEditor,
    private readonly highlighting: (mimeType: string) => Promise<Extension | null>,
    private readonly decisions: Decisions
  ) {
    this.bar.addClass('mkb-Bar');
    this.bar.node.setAttribute('aria-live', 'polite');
  }

  /** Return how many changes of a proposal are not decided. */
  rest(op: string): number {
    return this.open.filter(one => one.order.op_id === op).length;
  }

  /** Show a proposal; what is decided of it elsewhere is not shown any more. */
  add(order: Propose): void {
    for (const one of this.open) if (one.order.op_id === order.op_id && order.decided.includes(one.number)) this.drop(one);
    order.changes.forEach((change, number) => {
      if (order.decided.includes(number)) return;
      const older = this.open.find(one => one.order.op_id === order.op_id && one.number === number);
      // The agent may have changed what is kept once more; another one has only followed the person's text.
      if (older && !(order.kept && 'code' in change && 'code' in older.change && change.code !== older.change.code)) return;
      if (older) this.drop(older);
      const live = 'key' in change ? this.editor.text(change.key) : null;
      this.open.push({ order, number, change, live, text: 'code' in change ? change.code : null, card: null });
    });
    this.follow();
  }

  withdraw(op: string): void {
    for (const one of this.open.filter(one => one.order.op_id === op)) this.drop(one);
    this.showBar();
  }

  /** These are all that the kernel has: others are decided elsewhere, or were lost with a kernel. Return how many those are. */
  keepOnly(orders: readonly Propose[]): number {
    const gone = this.open.filter(one => !orders.some(order => order.op_id === one.order.op_id && !order.decided.includes(one.number)));
    for (const one of gone) this.drop(one);
    for (const order of orders) this.add(order);
    this.showBar();
    return gone.length;
  }

  /** The notebook changed: cards follow the texts and the cells. */
  follow(): void {
    for (const one of this.open.filter(one => one !== this.deciding)) {
      const { change } = one;
      if ('key' in change) {
        const now = this.editor.text(change.key);
        if (now === null) {
          this.drop(one);
          this.decisions.reject(one, 'gone');
          continue;
        }
        if (one.live !== null && one.live !== now) this.retext(one, one.live, now);
        one.live = now;
      }
      if (!one.card || one.card.isDisposed) this.showCard(one);
    }
    this.showBar();
  }

  private retext(one: Open, live: string, now: string): void {
    if (one.change.kind !== 'change' || one.text === null) return;
    if (one.card && !one.card.isDisposed) one.card.follow(live, now);
    else one.text = withChanges(one.text, followed(live, now, live, one.text).proposed);
  }

  private accept(one: Open): void {
    const { change } = one;
    this.deciding = one; // what it changes is no change of the person's
    const key = this.decisions.accept(one, {
      ...change,
      ...('base' in change ? { base: baseOf(this.editor.text(change.key) ?? '') } : {}),
      ...('code' in change ? { code: one.text ?? change.code } : {}),
      ...('after' in change ? { after: this.anchor(one.order, change.after) } : {})
    } as DocumentChange);
    this.deciding = null;
    if (key !== null && change.kind === 'insert') this.made.set(`${one.order.op_id} ${change.token}`, key);
    this.showBar();
  }

  /** It is decided. */
  drop(one: Open): void {
    this.open = this.open.filter(other => other !== one);
    const focused = one.card?.node.contains(document.activeElement);
    if (one.card && !one.card.isDisposed) one.card.dispose();
    if (focused) this.focusNotebook();
  }

  private focusNotebook(): void {
    this.panel.content.node.focus({ preventScroll: true });
  }

  private reject(one: Open): void {
    const accepted = one.card?.accepted ?? null;
    if (accepted !== null) {
      one.text = accepted; // what is rejected is the rest
      return this.accept(one);
    }
    this.drop(one);
    this.decisions.reject(one, 'rejected');
    this.showBar();
  }

  /** Return the cell that a proposed cell stands below, null for the top; the last one if its place is gone.
   *
   * Another proposed one counts only if it was accepted.
   */
  private anchor(order: Propose, after: string | null): string | null {
    const before = order.changes.find(change => change.kind === 'insert' && change.token === after);
    if (before?.kind !== 'insert') return after === null || this.editor.index(after) >= 0 ? after : (this.panel.content.widgets.at(-1)?.model.id ?? null);
    return this.made.get(`${order.op_id} ${before.token}`) ?? this.anchor(order, before.after);
  }

  private showCard(one: Open): void {
    const { change } = one;
    const after = 'after' in change && change.kind === 'insert' ? this.anchor(one.order, change.after) : null;
    const cell = change.kind === 'insert' ? (this.editor.cell(after) ?? this.panel.content.widgets[0]) : this.editor.cell(change.key);
    if (!cell) return;
    const card = (one.card = new Card(this.shown(one), {
      accept: () => this.accept(one),
      reject: () => this.reject(one),
      edited: text => void (one.text = text)
    }));
    void this.highlighting(cell.model.mimeType).then(extension => {
      if (extension && !card.isDisposed) card.highlighting = extension;
    });
    void cell.ready.then(() => {
      if (cell.isDisposed) return card.dispose(); // moved meanwhile, which makes another one
      if (card.isDisposed) return;
      const layout = cell.layout as PanelLayout;
      const isCard = (index: number) => layout.widgets[index]?.hasClass('mkb-Proposal');
      let place = 0; // above the first cell
      if (change.kind !== 'insert') place = layout.widgets.findIndex(widget => widget.hasClass('jp-Cell-inputWrapper')) + 1;
      else if (after !== null) place = layout.widgets.length; // below the outputs
      while (isCard(place)) place++;
      layout.insertWidget(place, card);
    });
  }

  private shown({ order, change, live, text }: Open): Shown {
    const { author, kept, conflict } = order;
    const what = {
      change: kept ? `${author} changed this cell` : `${author} proposes a change`,
      insert: kept ? `${author} added a cell here` : `${author} proposes a new cell here`,
      delete: kept ? `${author} deleted this cell` : `${author} proposes to delete this cell`,
      move: `${author} proposes to move this cell ${this.destination(change)}`
    }[change.kind];
    const why = kept ? 'while the notebook was not open here' : conflict ? 'of a text that you have changed since' : '';
    return {
      title: [what, why].filter(Boolean).join(' '),
      note: order.note,
      live: change.kind === 'change' ? live : null,
      text,
      accept: kept && change.kind === 'insert' ? 'Insert' : 'Accept',
      reject: kept ? 'Discard' : 'Reject'
    };
  }

  private destination(change: DocumentChange): string {
    if (change.kind !== 'move') return '';
    const text = change.after === null ? null : this.editor.text(change.after);
    return text === null ? 'to the top' : `below “${text.split('\n')[0].slice(0, 40)}”`;
  }

  /** One line for each proposal, with what decides all of it. */
  private showBar(): void {
    if (this.drawn.length === this.open.length && this.drawn.every((one, index) => one === this.open[index])) return;
    this.drawn = [...this.open]; // else the person's next click would miss its button
    const orders = [...new Set(this.open.map(one => one.order))];
    const focused = this.bar.node.contains(document.activeElement);
    this.bar.node.replaceChildren(...orders.map(order => this.line(order)));
    if (orders.length && !this.bar.parent) this.panel.contentHeader.addWidget(this.bar);
    if (!orders.length) this.bar.parent = null;
    this.bar.node.style.minHeight = `${Math.min(orders.length, LINES) * 34}px`; // the header has no other height
    this.panel.contentHeader.fit();
    if (focused) this.focusNotebook();
  }

  private line(order: Propose): HTMLElement {
    const mine = this.open.filter(one => one.order === order);
    const some = mine.length === 1 ? '1 change' : `${mine.length} changes`;
    const text = order.kept
      ? `${order.author} made ${some} that this notebook does not have`
      : `${order.author} proposes ${some}${order.note ? `: ${order.note}` : ''}`;
    const [accept, reject] = order.kept ? ['Insert', 'Discard'] : mine.length === 1 ? ['Accept', 'Reject'] : ['Accept all', 'Reject all'];
    const all = (act: (one: Open) => void) => () => mine.filter(one => this.open.includes(one)).forEach(act);
    return element('div', 'mkb-Bar-line', [
      element('span', 'mkb-Bar-text', [text]),
      button('Show', `Show what ${order.author} proposes`, '', () => this.show(mine)),
      button(accept, `${accept}: ${text}`, 'mkb-accept', all(one => this.accept(one))),
      button(reject, `${reject}: ${text}`, 'mkb-reject', all(one => this.reject(one)))
    ]);
  }

  /** Show the next one of these. */
  private show(mine: readonly Open[]): void {
    const { order, change, card } = (this.last = mine[(mine.indexOf(this.last!) + 1) % mine.length]);
    const key = 'key' in change ? change.key : (this.anchor(order, change.after) ?? this.panel.content.widgets[0]?.model.id);
    if (key) this.editor.show(key);
    card?.node.querySelector('button')?.focus({ preventScroll: true });
  }
}
