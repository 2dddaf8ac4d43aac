/**
 * One open document and its kernel: keeps the kernel informed, and does what the kernel orders, one order after the other.
 * Knows neither VS Code nor processes: `Editor` is the one, `Line` the other.
 */
import type {
  AgentsOrder, Apply, Attached, CellState, Compared, Conflict, Decided, Done, FrontEndRequest, Noted, Order, Propose, Reply, Run,
  RunOf, Save
} from '../../protocol';
import { type Cell, type Plan, type Structure, planned } from './cells';
import { type Open, Proposals } from './proposals';
import { baseOf } from './texts';
import { type Attention, Told } from './told';

export interface Editor {
  readonly path: string;
  readonly writable: boolean;
  cells(): Cell[];
  attention(): Attention;
  /** Returns when the person has paused typing, or after some seconds. */
  pauseOfTyping(): Promise<void>;
  /** Replaces texts by key as one step of undo; false if the document has changed meanwhile. */
  setTexts(texts: ReadonlyMap<string, string>): Promise<boolean>;
  /** Inserts and deletes cells as one step of undo, and keeps the person's focus. */
  restructure(structure: readonly Structure[]): Promise<boolean>;
  /** Runs cells as if the person did. */
  run(keys: readonly string[]): void;
  save(): Promise<boolean>;
  /** Draws what this session says of cells and agents anew. */
  redraw(): void;
  /** Tells the person something, as text. */
  say(text: string): void;
}

export type Refusal = { status: 'error'; code: string; evalue: string; hint: string };
export type Answer = ({ status: 'ok' } & Reply) | Refusal;

export interface Line {
  ask(content: FrontEndRequest): Promise<Answer>;
}

type InTurn = Exclude<Order, { kind: 'agents' | 'state' | 'who' | 'propose' | 'withdraw' }>;
type Request<T extends FrontEndRequest> = Omit<T, 'client' | 'protocol'>;
type AnyRequest = { [T in FrontEndRequest as T['op']]: Request<T> }[FrontEndRequest['op']];

export interface Authorship {
  author: string;
  code: string;
  op_id: string;
}

const PROTOCOL = 1;
const REMEMBERED = 100;
const AFTER_TYPING = 250;
const LONGEST_UNTOLD = 1_000;
const BEAT = 1_000;
const NOTEBOOK = 'notebook';

export class Session {
  readonly proposals = new Proposals();
  agents: AgentsOrder['agents'] = [];
  paused = false;
  attached = false;
  states = new Map<string, CellState>();
  private authors = new Map<string, Authorship>();
  private was = new Map<string, string>();
  private told = new Told();
  private client = '';
  private revision = 0;
  private answered = new Map<string, Request<Done>>();
  private applied: { op_id: string; author: string }[] = [];
  private orders: Promise<void> = Promise.resolve();
  private requests: Promise<unknown> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private untold: number | undefined;

  constructor(
    private readonly editor: Editor,
    private readonly line: Line,
    private readonly version: string,
    private readonly newClient: () => string
  ) {}

  // -- the kernel ---------------------------------------------------------------------------------------------------

  /** The kernel is there, is another one, or has asked for this. */
  async attach(): Promise<void> {
    if (this.attached) void this.send({ op: 'detach' });
    this.attached = false;
    this.client = this.newClient();
    this.revision = 0;
    const attention = this.editor.attention();
    const answer = await this.send({
      op: 'attach', front_end: 'vscode', version: this.version, path: this.editor.path,
      can: this.editor.writable ? ['apply', 'propose', 'run', 'save'] : [],
      cells: this.told.all(this.editor.cells(), attention, cell => ({ by: this.authorOf(cell)?.author ?? null })), ...attention
    });
    if (answer.status === 'error') {
      if (answer.code !== 'no_such_notebook') this.editor.say(`${answer.evalue} ${answer.hint}`);
      return;
    }
    const attached = answer as Attached;
    this.attached = true;
    this.states = new Map(Object.entries(attached.cells));
    const before = this.proposals.all.length;
    this.proposals.clear();
    for (const order of attached.open) this.proposals.add(order);
    if (before && !attached.open.length) this.editor.say('The kernel is another one: the changes that were proposed are gone.');
    this.heard(attached);
    this.changed();
  }

  /** The kernel has ended. */
  lost(): void {
    this.attached = false;
    clearTimeout(this.timer);
    this.agents = [];
    this.paused = false;
    this.states.clear();
    this.editor.redraw();
  }

  async detach(): Promise<void> {
    clearTimeout(this.timer);
    if (this.attached) await this.send({ op: 'detach' });
    this.lost();
  }

  /** Handles an order. Those that change the document or run cells wait for each other, because places go by index. */
  take(order: Order): Promise<unknown> {
    if (order.to !== null && order.to !== this.client) return Promise.resolve();
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
        return this.propose(order);
      case 'withdraw':
        this.proposals.withdraw(order.op_id);
        this.editor.redraw();
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
    const author = this.authors.get(before);
    if (author) this.authors.set(after, author);
    const state = this.states.get(before);
    if (state) this.states.set(after, state);
    this.states.delete(before);
    this.authors.delete(before);
    this.proposals.renamed(before, after);
  }

  /** Who wrote the present text of a cell, null for the person. */
  authorOf(cell: Cell): Authorship | null {
    const known = this.authors.get(cell.key);
    return known?.code === cell.code ? known : null;
  }

  pause(paused: boolean): Promise<Answer> {
    return this.send({ op: 'pause', paused });
  }

  /** Undoes an agent's operation, by default the newest. Returns whose it is, null if there is none. */
  async undo(op_id?: string): Promise<string | null> {
    const one = this.applied.findLast(one => op_id === undefined || one.op_id === op_id);
    if (!one) return null;
    this.applied = this.applied.filter(other => other !== one);
    const answer = await this.send({ op: 'undo', op_id: one.op_id });
    if (answer.status === 'error') this.editor.say(answer.evalue);
    return one.author;
  }

  async compare(): Promise<Compared | null> {
    await this.tell();
    const answer = await this.send({ op: 'compare' });
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
    return this.inTurn(async () => {
      for (const op_id of new Set(open.map(one => one.order.op_id))) {
        const together = open.filter(one => one.order.op_id === op_id && this.proposals.isOpen(op_id, one.index));
        if (together.length && accepted) await this.accept(together[0]!.order, together);
        else for (const one of together) await this.send(this.decision(one, 'rejected', null, []));
      }
      this.editor.redraw();
    });
  }

  // -- inside ---------------------------------------------------------------------------------------------------------

  private async propose(order: Propose): Promise<void> {
    this.proposals.add(order);
    await this.dropGone();
    if (order.kept) this.editor.say('An agent has changed this notebook while it was closed. Its changes wait for your decision.');
    this.editor.redraw();
  }

  private async accept(order: Propose, together: readonly Open[]): Promise<void> {
    const changes = this.proposals.applicable(together, this.editor.cells(), baseOf);
    const result = await this.apply(order.author, order.op_id, changes);
    if (!('added' in result)) {
      for (const one of together) await this.send(this.decision(one, 'gone', null, []));
      return;
    }
    const decisions = together.map(one => {
      const made = one.change.kind === 'insert' ? (result.added.get(one.change.token) ?? null) : null;
      const key = made ?? ('key' in one.change ? one.change.key : null);
      return this.decision(one, 'accepted', made, result.run.filter(run => run === key));
    });
    await this.tell();
    for (const decision of decisions) await this.send(decision);
    this.editor.run(result.run);
  }

  private decision(one: Open, decision: Decided['decision'], key: string | null, runs: readonly string[]): Request<Decided> {
    const rest = this.proposals.decide(one, key);
    return { op: 'decided', op_id: one.order.op_id, change: one.index, decision, rest, key, runs: runs.map(runOf) };
  }

  private async dropGone(): Promise<void> {
    const decisions = this.proposals.gone(this.editor.cells()).map(one => this.decision(one, 'gone', null, []));
    for (const decision of decisions) await this.send(decision);
  }

  /** Never does an order twice: one that is sent again, because its answer was lost, gets the same answer. */
  private async obeyOnce(order: InTurn): Promise<void> {
    const before = this.answered.get(order.op_id);
    // An order that waits for the person, or for a slow machine, is not taken for lost while the kernel hears of us.
    const beat = setInterval(() => void this.tell(true), BEAT).unref();
    try {
      await (before ? this.send(before) : this.obey(order));
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
        await this.done(order.op_id, {
          result: 'refused',
          message: 'VS Code gives all cells of a renamed notebook other addresses. Ask the person to rename it in the Explorer.'
        });
    }
  }

  private async obeyApply(order: Apply): Promise<void> {
    const result = await this.apply(order.author, order.op_id, order.changes);
    if (!('added' in result)) {
      await this.tell();
      await this.done(order.op_id, result);
      return;
    }
    await this.tell();
    const run = order.run ? result.run : [];
    await this.done(order.op_id, { result: 'applied', added: Object.fromEntries(result.added), runs: run.map(runOf) });
    this.editor.run(run);
    this.editor.redraw();
  }

  private async obeyRun(order: Run): Promise<void> {
    const there = new Set(this.editor.cells().map(cell => cell.key));
    const run = order.keys.filter(key => there.has(key));
    const gone = order.keys.filter(key => !there.has(key)).map(key => ({ key, code: null }));
    await this.done(order.op_id, gone.length ? { result: 'conflict', conflicts: gone } : { result: 'applied', runs: run.map(runOf) });
    if (!gone.length) this.editor.run(run);
  }

  private async obeySave(order: Save): Promise<void> {
    const saved = this.editor.writable && (await this.editor.save());
    await this.tell();
    await this.done(order.op_id, saved ? { result: 'applied' } : { result: 'refused', message: 'VS Code could not save the notebook.' });
  }

  /** Changes the document as a whole, or not at all. Runs nothing. */
  private async apply(
    author: string, op_id: string, changes: Apply['changes']
  ): Promise<{ added: Map<string, string>; run: string[] } | { result: 'conflict' | 'refused'; conflicts?: Conflict[]; message?: string }> {
    if (!this.editor.writable) return { result: 'refused', message: 'The notebook is read-only.' };
    const structural = changes.filter(change => change.kind !== 'change');
    if (structural.length) await this.editor.pauseOfTyping();
    const before = this.editor.cells();
    const plan = planned(before, changes);
    if (Array.isArray(plan)) return { result: 'conflict', conflicts: plan };
    const byPerson = new Map(this.authors);
    const isAgent = author !== NOTEBOOK; // the kernel sends what the person undid in its own name
    const authored = (key: string, code: string): void => {
      if (isAgent) this.authors.set(key, { author, code, op_id });
      else this.authors.delete(key);
    };
    for (const [key, code] of plan.texts) authored(key, code);
    if (plan.texts.size && !(await this.editor.setTexts(plan.texts))) {
      this.authors = byPerson;
      return { result: 'conflict', conflicts: this.presentTexts([...plan.texts.keys()]) };
    }
    const { added, unfit } = await this.restructured(plan, before, authored);
    if (unfit) {
      this.authors = byPerson;
      const texts = before.filter(cell => plan.texts.has(cell.key)).map(cell => [cell.key, cell.code] as const);
      if (texts.length) await this.editor.setTexts(new Map(texts));
      return { result: 'conflict', conflicts: this.presentTexts(changes.flatMap(one => ('key' in one ? [one.key] : []))) };
    }
    if (isAgent) this.applied = [...this.applied, { op_id, author }].slice(-REMEMBERED);
    const code = new Set(this.editor.cells().flatMap(cell => (cell.type === 'code' ? [cell.key] : [])));
    const changed = changes.flatMap(change =>
      change.kind === 'insert' ? [added.get(change.token)!] : change.kind === 'change' ? [added.get(change.key) ?? change.key] : []
    );
    return { added, run: [...new Set(changed)].filter(key => code.has(key)) };
  }

  private async restructured(
    plan: Plan, before: readonly Cell[], authored: (key: string, code: string) => void
  ): Promise<{ added: Map<string, string>; unfit: boolean }> {
    const added = new Map<string, string>();
    if (!plan.structure.length) return { added, unfit: false };
    const unchanged = this.editor.cells().map(cell => cell.key).join('\n') === before.map(cell => cell.key).join('\n');
    if (!unchanged || !(await this.editor.restructure(plan.structure))) return { added, unfit: true };
    const cells = this.editor.cells();
    const made = new Map(plan.structure.flatMap(edit => (edit.kind === 'insert' ? edit.cells.map(cell => [cell.token, cell]) : [])));
    for (const { token, at } of plan.places) {
      const cell = cells[at]!;
      added.set(token, cell.key);
      const { moved } = made.get(token)!;
      if (moved !== undefined) this.moved(moved, cell.key);
      const changedToo = moved === undefined || before.find(one => one.key === moved)?.code !== cell.code;
      if (changedToo) authored(cell.key, cell.code);
    }
    return { added, unfit: false };
  }

  private presentTexts(keys: readonly string[]): Conflict[] {
    const cells = this.editor.cells();
    return keys.map(key => ({ key, code: cells.find(cell => cell.key === key)?.code ?? null }));
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
      const answer = await this.send({ op: 'changed', revision: ++this.revision, ...(news ?? { order: null, cells: [], ...attention }) });
      if (answer.status === 'ok' && (answer as Noted).attach) await this.attach();
    }
    if (news?.order) await this.dropGone();
    this.editor.redraw();
  }

  private heard({ agents, paused }: Pick<AgentsOrder, 'agents' | 'paused'>): void {
    this.agents = agents;
    this.paused = paused;
    this.editor.redraw();
  }

  private done(op_id: string, result: Omit<Request<Done>, 'op' | 'op_id'>): Promise<Answer> {
    const done: Request<Done> = { op: 'done', op_id, ...result };
    this.answered.set(op_id, done);
    if (this.answered.size > REMEMBERED) this.answered.delete(this.answered.keys().next().value!);
    return this.send(done);
  }

  /** Sends a request after the one before it is answered, so that revisions come in order. */
  private send(request: AnyRequest): Promise<Answer> {
    const content = { ...request, client: this.client, protocol: PROTOCOL } as FrontEndRequest;
    const answer = this.requests.then(() => this.line.ask(content));
    this.requests = answer.catch(() => undefined);
    return answer;
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.orders.then(work).catch((error: unknown) => this.editor.say(`This failed: ${String(error)}`));
    this.orders = done;
    return done;
  }
}

const runOf = (key: string): RunOf => ({ key, msg_id: null });
