/** One open notebook: tells its kernel what is in it, does what the kernel orders, and shows what it says. */
import { type ISessionContext, Notification } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Extension } from '@codemirror/state';
import type { AgentInfo, Apply, Attached, CellState, DocumentChange, DocumentCell, Order, Rename, Run } from '../../protocol';
import { NotebookEditor } from './editor.js';
import { Elements } from './elements.js';
import type { ShownCell } from './graphpanel.js';
import { Kernel, type Listener, type Message } from './kernel.js';
import { LateOutputs } from './late.js';
import { type Document, Link, type Outcome, type Refusal } from './link.js';
import { agentOf, Marks } from './marks.js';
import { type Decisions, type Open, Proposals } from './proposals.js';
import { ToolbarItem } from './toolbar.js';

const QUIET = 250; // ms until the kernel is told of a change
const TOAST = { autoClose: 10_000 }; // without it, only the list of notifications has it

export interface Application {
  name: string;
  version: string;
  highlighting(mimeType: string): Promise<Extension | null>;
  /** What the graph shows has changed. */
  redraw(): void;
  /** A notebook of ours has attached. */
  attached(): void;
}

export class LiveNotebook implements Document, Decisions, Listener {
  readonly editor: NotebookEditor;
  private readonly context: ISessionContext;
  private readonly kernel: Kernel;
  private readonly link: Link;
  private readonly marks: Marks;
  private readonly late: LateOutputs;
  private readonly elements: Elements;
  private readonly proposals: Proposals;
  private readonly toolbar: ToolbarItem;
  private readonly told = new Map<string, string>(); // by key: type, settings and text
  private toldOrder = '';
  private toldRest = '';
  private toldPath = '';
  private shownOrder = '';
  private timer = 0;
  private applying = false;
  private signalled = false;

  constructor(
    private readonly panel: NotebookPanel,
    private readonly app: Application
  ) {
    this.context = panel.sessionContext;
    this.editor = new NotebookEditor(panel);
    this.marks = new Marks(this.editor, op => void this.link.request({ op: 'undo', op_id: op }));
    this.late = new LateOutputs(this.editor);
    this.elements = new Elements(panel);
    this.proposals = new Proposals(panel, this.editor, app.highlighting, this);
    this.toolbar = new ToolbarItem({ pause: paused => void this.pause(paused), sync: () => void this.sync() });
    const client = randomId();
    this.link = new Link(client, content => this.kernel.ask(content), this);
    this.kernel = new Kernel(this.context, this);

    const later = () => this.later();
    const leave = () => void (this.link.attached && this.link.request({ op: 'detach' })); // it may come back
    const close = () => this.link.close();
    panel.content.modelContentChanged.connect(this.onSignal, this);
    panel.content.activeCellChanged.connect(later);
    panel.content.stateChanged.connect(later); // edit mode
    panel.context.pathChanged.connect(later);
    panel.context.saveState.connect(later);
    window.addEventListener('focus', later);
    window.addEventListener('blur', later);
    window.addEventListener('pagehide', leave);
    this.context.disposed.connect(close); // the last view is closed, and the kernel is connected still
    panel.disposed.connect(() => {
      window.clearTimeout(this.timer);
      for (const [name, listener] of [['focus', later], ['blur', later], ['pagehide', leave]] as const) {
        window.removeEventListener(name, listener);
      }
      close();
      this.elements.detach();
      this.kernel.dispose();
    });
  }

  // What the kernel connection says

  ready(): void {
    void this.panel.context.ready.then(() => {
      if (!this.panel.isDisposed) void this.link.attach();
    });
  }

  foreign(): void {
    this.elements.miss();
  }

  gone(): void {
    this.elements.detach();
    this.link.lose();
  }

  order(content: unknown, age: number): void {
    this.link.receive(content as Order, age);
  }

  message(message: Message): void {
    this.late.show(message);
  }

  // What the link asks

  all(): ReturnType<Document['all']> {
    this.told.clear();
    this.toldOrder = '';
    const { cells = [], dirty, focused, editing } = this.news(true);
    const { context } = this.panel;
    const model = context.model as typeof context.model & { collaborative?: boolean };
    const shared = model.sharedModel as unknown as { getState?(name: string): unknown };
    const id = shared.getState?.('document_id') ?? shared.getState?.('file_id') ?? context.path;
    return {
      front_end: this.app.name,
      version: this.app.version,
      path: context.path,
      cells,
      dirty,
      focused,
      editing,
      shared_id: model.collaborative ? String(id) : null,
      can: this.editor.readOnly ? [] : ['apply', 'propose', 'run', 'save', 'rename', 'settings']
    };
  }

  news(always: true): NonNullable<ReturnType<Document['news']>>;
  news(always: boolean): ReturnType<Document['news']>;
  news(always: boolean): ReturnType<Document['news']> {
    const all = this.editor.cells();
    const order = all.map(cell => cell.key);
    const isTold = ({ type, code, settings }: DocumentCell) => `${type}${settings ? JSON.stringify(settings) : ''}\n${code}`;
    const cells = all.filter(cell => this.told.get(cell.key) !== isTold(cell)).map((cell): DocumentCell => {
      const { key, type, code, settings } = cell;
      this.told.set(key, isTold(cell));
      return { key, type, code, by: this.marks.authorOf(key, code), ...(settings ? { settings } : {}) };
    });
    const ordered = JSON.stringify(order);
    const reordered = ordered !== this.toldOrder;
    if (reordered) {
      this.toldOrder = ordered;
      const there = new Set(order);
      for (const key of this.told.keys()) if (!there.has(key)) this.told.delete(key); // one that is restored is new to the kernel
    }
    const { content, context } = this.panel;
    const focused = document.hasFocus() && this.panel.isVisible;
    const editing = focused && content.mode === 'edit' ? (content.activeCell?.model.id ?? null) : null;
    const path = context.path === this.toldPath ? null : context.path;
    this.toldPath = context.path;
    const rest = { dirty: context.model.dirty, focused, editing, path };
    const restIs = JSON.stringify(rest);
    if (!always && !reordered && !cells.length && restIs === this.toldRest) return null;
    this.toldRest = restIs;
    return { ...rest, cells, order: reordered ? order : null };
  }

  attached(reply: Attached): void {
    this.place();
    this.app.attached();
    this.late.adopt(reply.parents);
    this.elements.attach(this.context.session!.kernel!, reply.live);
    this.marks.learn(reply.cells);
    this.showAgents(reply.agents, reply.paused);
    const gone = this.proposals.keepOnly(reply.open);
    if (gone) {
      const what = gone === 1 ? 'A proposal of an agent is not open any more: it was' : `${gone} proposals of agents are not open any more: they were`;
      Notification.info(`${what} decided elsewhere, or ended with the kernel.`, TOAST);
    }
    this.statesChanged();
  }

  detached(): void {
    this.marks.forget();
    this.showAgents([], false);
    this.statesChanged();
  }

  refused({ message }: Refusal): void {
    Notification.error(`marimo-kernel-bridge: ${message}`, { autoClose: false });
  }

  async obey(order: Order): Promise<Outcome | null> {
    switch (order.kind) {
      case 'apply':
        return this.apply(order);
      case 'run':
        return this.run(order);
      case 'propose':
        this.proposals.add(order);
        return null;
      case 'withdraw':
        this.proposals.withdraw(order.op_id);
        return null;
      case 'agents':
        this.showAgents(order.agents, order.paused);
        return null;
      case 'state':
        this.marks.update(order.cells);
        this.statesChanged();
        return null;
      case 'outputs':
        this.editor.showOutputs(order.cells);
        return null;
      case 'settings':
        this.editor.settle(order.cells);
        void this.link.tell();
        return null;
      case 'save':
        await this.panel.context.save();
        return { result: 'applied' };
      case 'rename':
        return this.rename(order);
      default:
        return null; // of a later version
    }
  }

  private apply(order: Apply): Outcome {
    const { conflicts, refused, added, touched } = this.change(order.changes, agentOf(order.author), order.op_id);
    if (refused) return { result: 'refused', message: refused };
    if (conflicts.length) return { result: 'conflict', conflicts };
    void this.link.tell(); // before the cells run, so that the kernel knows whose texts they have
    return { result: 'applied', added, runs: order.run ? this.editor.run(touched, order.author, order.op_id) : [] };
  }

  private change(changes: readonly DocumentChange[], author: string | null, op: string): ReturnType<NotebookEditor['apply']> {
    this.applying = true;
    try {
      const applied = this.editor.apply(changes);
      this.marks.wrote(author, op, applied.touched);
      return applied;
    } finally {
      this.applying = false;
      this.onContent();
    }
  }

  private run(order: Run): Outcome {
    if (this.editor.readOnly) return { result: 'refused', message: 'The document is read-only.' };
    return { result: 'applied', runs: this.editor.run(order.keys, order.author, order.op_id) };
  }

  private async rename({ name }: Rename): Promise<Outcome> {
    if (/[/\\]/.test(name)) return { result: 'refused', message: 'A new name has no folder in it.' };
    await this.panel.context.rename(name);
    return { result: 'applied' };
  }

  // What the person decides

  accept(open: Open, change: DocumentChange): string | null {
    const { order, number } = open;
    const { conflicts, refused, added, touched } = this.change([change], order.author, order.op_id);
    if (refused || conflicts.length) {
      Notification.error(refused || 'Its place is gone.', TOAST);
      return null;
    }
    this.proposals.drop(open);
    void this.link.tell();
    const runs = this.editor.run(touched, order.author, order.op_id);
    const proposed = 'code' in open.change && 'code' in change && open.change.code !== change.code ? change.code : null;
    const key = Object.values(added)[0] ?? null;
    const rest = this.proposals.rest(order.op_id);
    void this.link.request({ op: 'decided', op_id: order.op_id, change: number, decision: 'accepted', rest, code: proposed, key, runs });
    return key;
  }

  reject({ order, number }: Open, decision: 'rejected' | 'gone'): void {
    const rest = this.proposals.rest(order.op_id);
    void this.link.request({ op: 'decided', op_id: order.op_id, change: number, decision, rest });
  }

  private async pause(paused: boolean): Promise<void> {
    await this.link.request({ op: 'pause', paused });
  }

  private async sync(): Promise<void> {
    await this.link.tell();
    const reply = await this.link.request({ op: 'compare' });
    if (reply?.op !== 'compared') return;
    const { to_run, never_run } = reply;
    this.editor.run(to_run.filter(key => !never_run.includes(key) || this.editor.hasPrompt(key)), null, null);
  }

  // What happens on the page

  /** Lab tells of a cell that is moved that it is gone, and then that it is there: look when both are over. */
  private onSignal(): void {
    if (this.applying || this.signalled) return;
    this.signalled = true;
    queueMicrotask(() => {
      this.signalled = false;
      this.onContent();
    });
  }

  private onContent(): void {
    if (this.applying || this.panel.isDisposed) return;
    this.marks.followTexts();
    this.proposals.follow();
    this.later();
  }

  /** Tell the kernel soon; in one message what happens within a quarter of a second. */
  private later(): void {
    if (this.timer || !this.link.attached) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      void this.link.tell();
      if (this.shownOrder === this.toldOrder) return;
      this.shownOrder = this.toldOrder;
      this.marks.showAll();
      this.app.redraw();
    }, QUIET);
  }

  private place(): void {
    const { toolbar } = this.panel;
    if (this.toolbar.isAttached || this.toolbar.parent) return;
    if (!toolbar.insertBefore('kernelName', 'marimoAgents', this.toolbar)) toolbar.addItem('marimoAgents', this.toolbar);
  }

  private showAgents(agents: readonly AgentInfo[], paused: boolean): void {
    this.toolbar.showAgents(agents, paused);
  }

  private statesChanged(): void {
    this.toolbar.showDifferent(this.editor.cells().filter(({ key, type }) => type === 'code' && this.isDifferent(key)).length);
    this.app.redraw();
  }

  /** Whether a cell is not as the kernel ran it. One that never ran may be a draft, unless it shows a run: of an earlier kernel. */
  private isDifferent(key: string): boolean {
    const state = this.marks.known.get(key);
    if (!state) return false;
    return state.stale || (state.status === 'new' ? this.editor.hasPrompt(key) : state.changed);
  }

  /** What the graph shows of this notebook: the cells that have run. */
  graph(): ShownCell[] {
    if (!this.link.attached) return [];
    return this.editor.cells().flatMap(({ key, type, code }): ShownCell[] => {
      const state = this.marks.known.get(key);
      if (type !== 'code' || !state || state.cell_id === null) return [];
      const label = state.defines.join(', ') || code.split('\n').find(line => line.trim()) || '(empty)';
      return [{ key, label: label.slice(0, 40), upstream: state.upstream, state: stateOf(state) }];
    });
  }
}

function stateOf(state: CellState): ShownCell['state'] {
  if (state.changed || state.status === 'new') return 'not run';
  if (state.status === 'error' || state.status === 'refused') return 'failed';
  return state.stale ? 'stale' : 'ok';
}

/** Return eight random bytes as digits; `crypto.randomUUID` is missing in pages that are not served over HTTPS. */
function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), byte => byte.toString(16).padStart(2, '0')).join('');
}
