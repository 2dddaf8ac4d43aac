/** The requests of one document to its kernel: in the name of one client, each after the answer to the one before. */
import type { Done, FrontEndRequest, Reply } from '../../protocol';

export type Refusal = { status: 'error'; code: string; evalue: string; hint: string };
export type Answer = ({ status: 'ok' } & Reply) | Refusal;

export interface Line {
  ask(content: FrontEndRequest): Promise<Answer>;
}

export type Request<T extends FrontEndRequest> = Omit<T, 'client' | 'protocol'>;
type AnyRequest = { [T in FrontEndRequest as T['op']]: Request<T> }[FrontEndRequest['op']];

const PROTOCOL = 1;
const REMEMBERED = 100;

export class Requests {
  /** The name under which the document is attached, or asks to be; empty if it is not. */
  client = '';
  private last: Promise<unknown> = Promise.resolve();
  private answered = new Map<string, Request<Done>>();

  constructor(private readonly line: Line) {}

  send(request: AnyRequest): Promise<Answer> {
    const content = this.content(request);
    const answer = this.last.then(() => this.line.ask(content)); // so that revisions come in order
    this.last = answer.catch(() => undefined);
    return answer;
  }

  /** Sends a request that no other one has to precede. */
  sendAtOnce(request: AnyRequest): Promise<Answer> {
    return this.line.ask(this.content(request));
  }

  /** Answers an order. */
  done(op_id: string, result: Omit<Request<Done>, 'op' | 'op_id'>): Promise<Answer> {
    const done: Request<Done> = { op: 'done', op_id, ...result };
    this.answered.set(op_id, done);
    if (this.answered.size > REMEMBERED) this.answered.delete(this.answered.keys().next().value!);
    return this.send(done);
  }

  /** The answer to an order that has been given before, null to a new one. */
  answerTo(op_id: string): Request<Done> | null {
    return this.answered.get(op_id) ?? null;
  }

  private content(request: AnyRequest): FrontEndRequest {
    return { ...request, client: this.client, protocol: PROTOCOL } as FrontEndRequest;
  }
}
