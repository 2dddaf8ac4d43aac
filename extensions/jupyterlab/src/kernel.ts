/** The kernel of one open notebook, as Lab connects to it: requests on control, orders from iopub. */
import type { ISessionContext } from '@jupyterlab/apputils';
import { KernelMessage } from '@jupyterlab/services';
import { Greeting } from './greeting.js';
import { StatusQuestion } from './status.js';

const IMPLEMENTATION = 'marimo_kernel_bridge';
const REQUEST = 'marimo_bridge_document_request';
const ORDER = 'marimo_bridge_document';
const PATIENCE = 30_000; // ms until a request without a reply is given up

/** A message as it comes: Lab's types know Jupyter's own message types only. */
export interface Message {
  header: { msg_type: string; date: string };
  parent_header: { msg_id?: string };
  content: any; // eslint-disable-line -- another type for each message type
}

export interface Listener {
  /** A kernel of ours is there, for the first time or again. */
  ready(): void;
  /** There is none, or one that is not ours. */
  foreign(): void;
  /** It is gone, restarts, or cannot be reached. */
  gone(): void;
  /** An order that the kernel gave `age` milliseconds ago. */
  order(content: any, age: number): void; // eslint-disable-line -- parsed by the link
  /** Any message on iopub. */
  message(message: Message): void;
}

export class Kernel {
  private readonly greeting: Greeting<KernelMessage.IInfoReply>;
  private readonly statusQuestion: StatusQuestion;
  private ready = false;
  private offset = Infinity; // ms from the kernel's clock to this one, with the shortest way of a reply

  constructor(
    private readonly context: ISessionContext,
    private readonly listener: Listener
  ) {
    context.iopubMessage.connect(this.onMessage, this);
    context.kernelChanged.connect(this.onChanged, this);
    context.connectionStatusChanged.connect(this.onConnection, this);
    context.statusChanged.connect(this.onStatus, this);
    this.statusQuestion = new StatusQuestion(() => this.context.session?.kernel);
    this.greeting = new Greeting(() => this.context.session?.kernel, info => this.greeted(info));
    this.greet();
    void this.context.ready.then(() => this.context.session?.kernel || this.listener.foreign());
  }

  /** Send a request; return the content of its reply, or null if none comes. */
  ask(content: object): Promise<unknown> {
    const kernel = this.context.session?.kernel;
    if (!kernel || kernel.isDisposed || kernel.status === 'dead') return Promise.resolve(null);
    const message = KernelMessage.createMessage({
      channel: 'control',
      msgType: REQUEST as 'debug_request',
      session: kernel.clientId,
      username: kernel.username,
      content: content as KernelMessage.IDebugRequestMsg['content']
    });
    return new Promise(resolve => {
      const future = kernel.sendControlMessage(message, true, false);
      const end = (reply: unknown) => {
        clearTimeout(timer);
        future.dispose(); // no idle comes for it, so it would never be done
        resolve(reply);
      };
      const timer = setTimeout(() => end(null), PATIENCE);
      future.onReply = reply => {
        this.offset = Math.min(this.offset, sinceSent(reply));
        end(reply.content);
      };
      future.done.catch(() => end(null)); // the connection is gone
    });
  }

  dispose(): void {
    this.greeting.stop();
    this.statusQuestion.stop();
    this.context.iopubMessage.disconnect(this.onMessage, this);
    this.context.kernelChanged.disconnect(this.onChanged, this);
    this.context.connectionStatusChanged.disconnect(this.onConnection, this);
    this.context.statusChanged.disconnect(this.onStatus, this);
  }

  private onMessage(_: unknown, message: unknown): void {
    const { header, content } = message as Message;
    if (header.msg_type === ORDER) this.listener.order(content, sinceSent(message as Message) - this.offset);
    else this.listener.message(message as Message);
  }

  private onChanged(): void {
    this.lose();
    this.greet();
  }

  private onConnection(_: unknown, status: string): void {
    if (status === 'connected') this.greet();
    else this.lose();
  }

  private onStatus(_: unknown, status: string): void {
    if (status === 'restarting' || status === 'autorestarting' || status === 'dead') this.lose();
    else if (status === 'idle' || status === 'busy') this.greet();
  }

  private lose(): void {
    if (this.ready) this.listener.gone();
    this.ready = false;
  }

  private greet(): void {
    if (!this.ready) this.greeting.greet();
  }

  private greeted({ implementation }: KernelMessage.IInfoReply): void {
    if (implementation !== IMPLEMENTATION) return this.listener.foreign();
    if (this.ready) return;
    this.ready = true;
    this.offset = Infinity;
    this.statusQuestion.begin();
    this.listener.ready();
  }
}

/** Return the milliseconds since a message was sent, if both clocks are the same. */
function sinceSent({ header }: { header: { date: string } }): number {
  return Date.now() - Date.parse(header.date);
}
