/** A change that an agent proposes, shown at the cell: a diff that can be edited, and the buttons that decide. Changes nothing. */
import { getChunks, getOriginalDoc, originalDocChangeEffect, unifiedMergeView } from '@codemirror/merge';
import { Compartment, EditorState, type Extension } from '@codemirror/state';
import { EditorView, type ViewUpdate } from '@codemirror/view';
import { jupyterTheme } from '@jupyterlab/codemirror';
import { Widget } from '@lumino/widgets';
import { button, element } from './dom.js';
import { followed } from './rebase.js';

export interface Shown {
  title: string;
  note: string;
  /** The present text of the cell; null: there is none, the text is a new cell's. */
  live: string | null;
  /** The proposed text; null: nothing to show but the title. */
  text: string | null;
  accept: string;
  reject: string;
}

export interface Choices {
  accept(): void;
  reject(): void;
  /** The person edited the proposed text. */
  edited(text: string): void;
}

export class Card extends Widget {
  private readonly view: EditorView | null = null;
  private readonly language = new Compartment();
  private someAccepted = false;

  constructor(
    shown: Shown,
    private readonly choices: Choices
  ) {
    super();
    this.addClass('mkb-Proposal');
    this.node.dataset.lmSuppressShortcuts = 'true'; // the notebook's keys leave its editor alone
    this.node.setAttribute('role', 'group');
    this.node.setAttribute('aria-label', shown.title);
    const title = element('span', 'mkb-Proposal-title', [element('strong', '', [shown.title])]);
    if (shown.note) title.append(` ${shown.note}`);
    this.node.append(
      element('div', 'mkb-Proposal-bar', [
        title,
        button(shown.accept, `${shown.accept}: ${shown.title}`, 'mkb-accept', () => choices.accept()),
        button(shown.reject, `${shown.reject}: ${shown.title}`, 'mkb-reject', () => choices.reject())
      ])
    );
    if (shown.text === null) return;
    this.toggleClass('mkb-newCell', shown.live === null);
    const host = element('div', 'mkb-Proposal-text');
    this.node.append(host);
    this.view = new EditorView({
      parent: host,
      state: EditorState.create({
        doc: shown.text,
        extensions: [
          this.language.of([]),
          jupyterTheme,
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': 'Proposed text' }),
          EditorView.updateListener.of(update => this.updated(update)),
          shown.live === null ? [] : unifiedMergeView({ original: shown.live, mergeControls: true, gutter: true })
        ]
      })
    });
    this.count();
  }

  set highlighting(extension: Extension) {
    this.view?.dispatch({ effects: this.language.reconfigure(extension) });
  }

  /** The text of the cell with the parts that the person has accepted; null if none is. */
  get accepted(): string | null {
    return this.view && this.someAccepted ? getOriginalDoc(this.view.state).toString() : null;
  }

  /** The person went on typing in the cell. */
  follow(live: string, now: string): void {
    if (!this.view) return;
    const { state } = this.view;
    const { original, proposed } = followed(live, now, getOriginalDoc(state).toString(), state.doc.toString());
    this.view.dispatch({ changes: proposed, effects: originalDocChangeEffect(state, original) });
  }

  override dispose(): void {
    this.view?.destroy();
    super.dispose();
  }

  private updated(update: ViewUpdate): void {
    if (update.docChanged) this.choices.edited(update.state.doc.toString());
    this.count();
    const decided = (how: string) => update.transactions.some(one => one.isUserEvent(how));
    this.someAccepted ||= decided('accept');
    if (!(decided('accept') || decided('revert')) || getChunks(update.state)?.chunks.length) return;
    // The last part is decided, so all is. Not within an update of the view.
    queueMicrotask(() => (this.someAccepted ? this.choices.accept() : this.choices.reject()));
  }

  /** A single part is decided by the buttons of the card. */
  private count(): void {
    if (this.view) this.toggleClass('mkb-onePart', (getChunks(this.view.state)?.chunks.length ?? 0) < 2);
  }
}
