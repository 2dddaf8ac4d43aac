/**
 * One open document and its kernel: keeps the kernel informed, and does what the kernel orders, one order after the other.
 * Knows neither VS Code nor processes: `Editor` is the one, `Line` the other.
 */
import type { AgentsOrder, Apply, Attached, CellState, Compared, Noted, Order, Run, Save } from '../../protocol';
import type { Cell } from './cells';
import { type Authorship, Changes } from './changes';
import { Decisions, runOf } from './decisions';
import type { Editor } from './editor';
import { type Open, Proposals } from './proposals';
import { type Line, Requests } from './requests';
import { Told } from './told';

type InTurn = Exclude<Order, { kind: 'agents' | 'state' | 'who' | 'propose' | 'withdraw' | 'outputs' | 'settings' }>;

const AFTER_TYPING = 250;
const LONGEST_UNTOLD = 1_000;
const BEAT = 1_000;

export class Session {
  readonly proposals = new Proposals();
  agents: AgentsOrder['agents'] = [];
  paused = false;
  private state: 'detached' | 'attaching' | 'attached' = 'detached';
  states = new Map<string, CellState>();
  private was = new Map<string, string>();
  private told = new Told();
  private revision = 0;
  private refusal = '';
  private orders: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private untold: number | undefined;
  private readonly requests: Requests;
  private readonly changes: Changes;
  private readonly decisions: Decisions;

  constructor(
    private readonly editor: Editor,
    line: Line,
    private readonly version: string,
    private readonly newClient: () => string
  ) {
    this.requests = new Requests(line);
    this.changes = new Changes(editor, (before, after) => this.moved(before, after));
    this.decisions = new Decisions(editor, this.proposals, this.changes, this.requests, () => this.tell());
  }

  get attached(): boolean {
    return this.state === 'attached';
  }

  // -- the kernel ---------------------------------------------------------------------------------------------------

  /** The kernel is there, or is another one. */
  async attach(): Promise<void> {
    if (this.state === 'detached') await this.attachAnew();
  }

  private async attachAnew(): Promise<void> {
    // Also under a name to which no answer came: the kernel may have taken it.
    if (this.requests.client) void this.requests.send({ op: 'detach' });
    const client = (this.requests.client = this.newClient());
    this.state = 'attaching';
    this.revision = 0;
    const attention = this.editor.attention();
    const answer = await this.requests.send({
      op: 'attach', front_end: 'vscode', version: this.version, path: this.editor.path,
      can: this.editor.writable ? ['apply', 'propose', 'run', 'save'] : [],
      cells: this.told.all(this.editor.cells(), attention, cell => ({ by: this.authorOf(cell)?.author ?? null })), ...attention
    });
    if (client !== this.requests.client) return; // the kernel has ended meanwhile, or is another one
    if (answer.status === 'error') {
      this.state = 'detached';
      if (answer.code !== 'no_such_notebook' && answer.evalue !== this.refusal)
        this.editor.say(`${(this.refusal = answer.evalue)} ${answer.hint}`);
      return;
    }
    const attached = answer as Attached;
    this.state = 'attached';
    this.states = new Map(Object.entries(attached.cells));
    const before = this.proposals.all.length;
    this.proposals.replace(attached.open);
    if (before && !attached.open.length) this.editor.say('The kernel is another one: the changes that were proposed are gone.');
    this.heard(attached);
    this.changed();
  }

  /** The kernel has ended. */
  lost(): void {
    this.state = 'detached';
    this.requests.client = '';
    clearTimeout(this.timer);
    this.agents = [];
    this.paused = false;
    this.states.clear();
    this.editor.redraw();
  }

  async detach(): Promise<void> {
    clearTimeout(this.timer);
    if (this.requests.client) await this.requests.send({ op: 'detach' });
    this.lost();
  }

  /** Handles an order. Those that change the document or run cells wait for each other, because places go by index. */
  take(order: Order): Promise<unknown> {
    if (!this.attached || (order.to !== null && order.to !== this.requests.client)) return Promise.resolve();
    switch (order.kind) {
      case 'agents':
        this.heard(order);
        return Promise.resolve();
      case 'state':
        for (const [key, state] of Object.entries(order.cells)) this.states.set(key, state);
        this.editor.redraw();
        return Promise.resolve();
      case 'who':
        return this.tell(true);
      case 'propose':
        this.proposals.add(order);
        if (order.kept) this.editor.say('An agent has changed this notebook while it was closed. Its changes wait for your decision.');
        return this.decisions.dropGone().then(() => this.editor.redraw());
      case 'withdraw':
        this.proposals.withdraw(order.op_id);
        this.editor.redraw();
        return Promise.resolve();
      case 'outputs': // only a run can have outputs in VS Code
      case 'settings': // only those that say that they can take them get any
        return Promise.resolve();
      default:
        return this.inTurn(() => this.obeyOnce(order));
    }
  }

  // -- the person ---------------------------------------------------------------------------------------------------

  /** The document, or what the person looks at, has changed. */
  changed(): void {
    clearTimeout(this.timer);
    this.untold ??= Date.now(); // somebody who types without a pause is heard, too
    const wait = Math.min(AFTER_TYPING, Math.max(0, this.untold + LONGEST_UNTOLD - Date.now()));
    if (this.attached) this.timer = setTimeout(() => void this.tell(), wait);
  }

  /** A cell has another key, because it was moved. */
  moved(before: string, after: string): void {
    this.was.set(after, before);
    this.changes.moved(before, after);
    const state = this.states.get(before);
    if (state) this.states.set(after, state);
    this.states.delete(before);
    this.proposals.renamed(before, after);
  }

  /** Who wrote the present text of a cell, null for the person. */
  authorOf(cell: Cell): Authorship | null {
    return this.changes.authorOf(cell);
  }

  /** Pauses the agents, or lets them go on. Waits for no other request. */
  async pause(paused: boolean): Promise<void> {
    const answer = await this.requests.sendAtOnce({ op: 'pause', paused });
    if (answer.status === 'error') return this.editor.say(`${answer.evalue} ${answer.hint}`);
    this.paused = (answer as Noted).paused ?? this.paused;
    this.editor.redraw();
  }

  /** Undoes an agent's operation, by default the newest. Returns whose it is, null if there is none. */
  async undo(op_id?: string): Promise<string | null> {
    const one = this.changes.take(op_id);
    if (!one) return null;
    const answer = await this.requests.send({ op: 'undo', op_id: one.op_id });
    if (answer.status === 'error') this.editor.say(answer.evalue);
    return one.author;
  }

  async compare(): Promise<Compared | null> {
    await this.tell();
    const answer = await this.requests.send({ op: 'compare' });
    return answer.status === 'ok' ? (answer as unknown as Compared) : null;
  }

  /** Runs what differs from what ran, each cell once; returns how many cells that are, without their dependents. */
  async sync(): Promise<number | null> {
    const compared = await this.compare();
    if (!compared) return null;
    if (compared.to_run.length) this.editor.run(compared.to_run);
    return compared.to_run.length;
  }

  /** Accepts or rejects changes. */
  decide(open: readonly Open[], accepted: boolean): Promise<void> {
    return this.inTurn(() => this.decisions.decide(open, accepted));
  }

  // -- inside ---------------------------------------------------------------------------------------------------------

  /** Never does an order twice: one that is sent again, because its answer was lost, gets the same answer. */
  private async obeyOnce(order: InTurn): Promise<void> {
    const before = this.requests.answerTo(order.op_id);
    // An order that waits for the person, or for a slow machine, is not taken for lost while the kernel hears of us.
    const beat = setInterval(() => void this.tell(true), BEAT).unref();
    try {
      await (before ? this.requests.send(before) : this.obey(order));
    } finally {
      clearInterval(beat);
    }
  }

  private async obey(order: InTurn): Promise<void> {
    switch (order.kind) {
      case 'apply':
        return this.obeyApply(order);
      case 'run':
        return this.obeyRun(order);
      case 'save':
        return this.obeySave(order);
      case 'rename':
        await this.requests.done(order.op_id, {
          result: 'refused',
          message: 'VS Code gives all cells of a renamed notebook other addresses. Ask the person to rename it in the Explorer.'
        });
    }
  }

  private async obeyApply(order: Apply): Promise<void> {
    const result = await this.changes.apply(order.author, order.op_id, order.changes);
    if (!('added' in result)) {
      await this.tell();
      await this.requests.done(order.op_id, result);
      return;
    }
    await this.tell();
    const run = order.run ? result.run : [];
    await this.requests.done(order.op_id, { result: 'applied', added: Object.fromEntries(result.added), runs: run.map(runOf) });
    this.editor.run(run);
    this.editor.redraw();
  }

  private async obeyRun(order: Run): Promise<void> {
    const there = new Set(this.editor.cells().map(cell => cell.key));
    const run = order.keys.filter(key => there.has(key));
    const gone = order.keys.filter(key => !there.has(key)).map(key => ({ key, code: null }));
    const answer = await this.requests.done(
      order.op_id, gone.length ? { result: 'conflict', conflicts: gone } : { result: 'applied', runs: run.map(runOf) }
    );
    const over = answer.status === 'ok' && answer.op === 'noted' && answer.over; // another window runs them, or none is to
    if (!gone.length && !over) this.editor.run(run);
  }

  private async obeySave(order: Save): Promise<void> {
    const saved = this.editor.writable && (await this.editor.save());
    await this.tell();
    await this.requests.done(order.op_id, saved ? { result: 'applied' } : { result: 'refused', message: 'VS Code could not save the notebook.' });
  }

  private async tell(always = false): Promise<void> {
    clearTimeout(this.timer);
    this.untold = undefined;
    if (!this.attached) return;
    const attention = this.editor.attention();
    const news = this.told.news(this.editor.cells(), attention, cell => {
      const was = this.was.get(cell.key);
      this.was.delete(cell.key);
      return { by: this.authorOf(cell)?.author ?? null, ...(was === undefined ? {} : { was }) };
    });
    if (news || always) {
      const answer = await this.requests.send({ op: 'changed', revision: ++this.revision, ...(news ?? { order: null, cells: [], ...attention }) });
      if (answer.status === 'ok' && (answer as Noted).attach && this.attached) await this.attachAnew();
    }
    if (news?.order) await this.decisions.dropGone();
    if (news) this.editor.redraw();
  }

  private heard({ agents, paused }: Pick<AgentsOrder, 'agents' | 'paused'>): void {
    this.agents = agents;
    this.paused = paused;
    this.editor.redraw();
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.orders.then(work).catch((error: unknown) => this.editor.say(`This failed: ${String(error)}`));
    this.orders = done;
    return done;
  }
}
