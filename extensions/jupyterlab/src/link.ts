/** The line of one open document to its kernel: requests with their order, and orders one at a time. Knows no notebook. */
import type { Apply, Attach, Attached, Changed, Done, FrontEndRequest, Order, Rename, Reply, Run, Save } from '../../protocol';

export const PROTOCOL = 1;
const REMEMBERED = 100;
const FRESH = 1_500; // ms in which an order is carried out; after 2 seconds the kernel gives it to another page

/** A request without what the link adds. */
export type Content = FrontEndRequest extends infer Request ? (Request extends { client: string } ? Omit<Request, 'client' | 'protocol'> : never) : never;
export type Outcome = Omit<Done, 'op' | 'client' | 'protocol' | 'op_id'>;

export interface Refusal {
  code: string;
  message: string;
}

/** What a link calls in its document. */
export interface Document {
  /** Return what the document has now, all of which counts as told. */
  all(): Omit<Attach, 'op' | 'client' | 'protocol'>;
  /** Return what is not told yet, all of which counts as told; null if that is nothing, but not if `always`. */
  news(always: boolean): Omit<Changed, 'op' | 'client' | 'protocol' | 'revision'> | null;
  attached(reply: Attached): void;
  detached(): void;
  /** Do what the kernel asks for. Those with an outcome are answered. */
  obey(order: Order): Promise<Outcome | null>;
  refused(refusal: Refusal): void;
}

export class Link {
  attached = false;
  private attempt = 0;
  private revision = 0;
  private readonly outcomes = new Map<string, Outcome | null>(); // of orders by id; null: it is being carried out
  private queue: Promise<void> = Promise.resolve();

  /** `ask` sends the content of a request and returns that of the reply, null if none comes; `retry` is in milliseconds. */
  constructor(
    readonly client: string,
    private readonly ask: (content: object) => Promise<unknown>,
    private readonly document: Document,
    private readonly retry = 5_000
  ) {}

  /** Say what is in the document. Orders that come before the newest reply may be replayed ones, and are dropped. */
  async attach(): Promise<void> {
    const attempt = ++this.attempt;
    this.attached = false;
    this.revision = 0;
    const reply = await this.request({ op: 'attach', ...this.document.all() });
    if (attempt !== this.attempt) return;
    if (reply === undefined) return void setTimeout(() => attempt === this.attempt && void this.attach(), this.retry);
    if (reply?.op !== 'attached') return;
    this.attached = true;
    this.document.attached(reply);
    void this.tell();
  }

  /** The kernel is gone, or does not hear this page any more. */
  lose(): void {
    this.attempt++;
    if (this.attached) this.document.detached();
    this.attached = false;
  }

  /** The document is closed: nothing is sent for it after this. */
  close(): void {
    if (this.attached) void this.request({ op: 'detach' });
    this.attempt++;
    this.attached = false;
  }

  /** Tell what is new in the document; with `always` also that nothing is. */
  async tell(always = false): Promise<void> {
    if (!this.attached) return;
    const news = this.document.news(always);
    if (news) await this.request({ op: 'changed', revision: ++this.revision, ...news });
  }

  /** Send a request and return the reply: null if it is refused, undefined if none comes. */
  async request(content: Content): Promise<Reply | null | undefined> {
    const attempt = this.attempt;
    const reply = (await this.ask({ ...content, client: this.client, protocol: PROTOCOL })) as
      | (Reply & { status: 'ok' })
      | { status: 'error'; code?: string; evalue?: string; hint?: string }
      | null;
    if (!reply) return undefined;
    if (reply.status !== 'ok') {
      this.document.refused({ code: reply.code ?? 'error', message: [reply.evalue, reply.hint].filter(Boolean).join(' ') });
      return null;
    }
    if (reply.op === 'noted' && reply.attach && attempt === this.attempt && content.op !== 'detach') await this.attach();
    return reply;
  }

  /** Take an order from the kernel, given `age` milliseconds ago. */
  receive(order: Order, age = 0): void {
    if (!this.attached || (order.to !== null && order.to !== this.client)) return;
    if (order.protocol !== PROTOCOL) return;
    if (order.kind === 'who') return void this.tell(true); // at once: somebody waits for it
    if (isAnswered(order)) {
      const outcome = this.outcomes.get(order.op_id);
      if (outcome) this.answer(order.op_id, outcome); // never twice; the kernel has not heard of it
      if (outcome !== undefined) return;
      this.outcomes.set(order.op_id, null);
    }
    const { attempt } = this;
    const until = Date.now() + FRESH - age;
    this.queue = this.queue.then(() => {
      if (attempt === this.attempt && !(isAnswered(order) && Date.now() > until)) return this.carryOut(order);
      if (isAnswered(order)) this.drop(order.op_id);
      return undefined;
    });
  }

  /** This page was frozen, waited for the person, or was cut off. What the kernel still wants done, it says again. */
  private drop(op: string): void {
    this.outcomes.delete(op);
    if (this.attached) void this.attach();
  }

  private async carryOut(order: Order): Promise<void> {
    let outcome: Outcome | null;
    try {
      outcome = await this.document.obey(order);
    } catch (error) {
      outcome = { result: 'refused', message: `The front end failed: ${error}` };
    }
    if (!outcome || !isAnswered(order)) return;
    this.outcomes.set(order.op_id, outcome);
    for (const id of this.outcomes.keys()) if (this.outcomes.size > REMEMBERED) this.outcomes.delete(id);
    void this.tell(); // before the outcome, which need not wait for the reply
    this.answer(order.op_id, outcome);
  }

  /** What is not answered now is asked for again when this page attaches again. */
  private answer(op: string, outcome: Outcome): void {
    if (this.attached) void this.request({ op: 'done', op_id: op, ...outcome });
  }
}

function isAnswered(order: Order): order is Apply | Run | Save | Rename {
  return ['apply', 'run', 'save', 'rename'].includes(order.kind);
}
