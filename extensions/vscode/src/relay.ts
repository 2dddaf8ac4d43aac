/** The relay process, which reaches kernels for this extension: `marimo-kernel-bridge document-relay`, a line of JSON each way. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { FrontEndRequest, Order } from '../../protocol';
import type { Answer } from './requests';

export interface Listener {
  /** The kernel of a notebook is found, or (null) has ended. */
  kernel(notebook: string, kernel: string | null, problem: string | null): void;
  order(notebook: string, order: Order): void;
  /** The relay cannot work; `text` says why and what to do. */
  problem(text: string): void;
  log(text: string): void;
}

type Said =
  | { say: 'hello'; version: string; document: number }
  | { say: 'kernel'; notebook: string; kernel: string | null; problem: string | null }
  | { say: 'order'; notebook: string; order: Order }
  | { say: 'reply'; id: number; reply: Answer };

type Start = () => ChildProcessWithoutNullStreams;

const PROTOCOL = 1;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

export const startRelay = (python: string): ChildProcessWithoutNullStreams =>
  spawn(python, ['-P', '-m', 'marimo_kernel_bridge', 'document-relay'], { stdio: 'pipe' });

export class Relay {
  private process: ChildProcessWithoutNullStreams | undefined;
  private watched = new Set<string>();
  private waiting = new Map<number, (answer: Answer) => void>();
  private next = 1;
  private pause = FIRST_PAUSE;
  private timer: NodeJS.Timeout | undefined;
  private disposed = false;
  private fits = true;

  constructor(
    private readonly start: Start,
    private readonly listener: Listener
  ) {}

  /** Finds the kernel of a notebook, sooner than it looks by itself. */
  watch(notebook: string): void {
    this.watched.add(notebook);
    if (this.process) this.write({ do: 'watch', notebook });
    else this.run();
  }

  unwatch(notebook: string): void {
    this.watched.delete(notebook);
    this.write({ do: 'unwatch', notebook });
  }

  renamed(before: string, after: string): void {
    if (this.watched.delete(before)) this.watched.add(after);
    this.write({ do: 'renamed', before, after });
  }

  ask(notebook: string, content: FrontEndRequest): Promise<Answer> {
    const id = this.next++;
    if (!this.write({ do: 'ask', id, notebook, content })) return Promise.resolve(gone(notebook));
    return new Promise(resolve => this.waiting.set(id, resolve));
  }

  dispose(): void {
    this.disposed = true;
    clearTimeout(this.timer);
    this.process?.stdin.end(); // it ends by that, after what was written before
  }

  private run(): void {
    if (this.disposed || this.timer || !this.fits) return;
    const process = this.start();
    this.process = process;
    let errors = '';
    process.stderr.on('data', (data: Buffer) => {
      errors = (errors + String(data)).slice(-2_000);
      this.listener.log(String(data).trimEnd());
    });
    process.stdin.on('error', () => undefined); // its end is told by `close`
    let ended = false;
    const end = (why: string): void => {
      if (!ended) this.ended(process, why);
      ended = true;
    };
    process.on('error', error => end(error.message));
    process.on('close', code => end(errors.trim().split('\n').pop() || `exit code ${code}`));
    createInterface({ input: process.stdout }).on('line', line => this.hear(line));
    for (const notebook of this.watched) this.write({ do: 'watch', notebook });
  }

  private hear(line: string): void {
    let said: Said;
    try {
      said = JSON.parse(line) as Said;
    } catch {
      this.listener.log(`Not a line of the relay: ${line.slice(0, 200)}`);
      return;
    }
    switch (said.say) {
      case 'hello':
        this.pause = FIRST_PAUSE;
        this.listener.log(`marimo-kernel-bridge ${said.version}`);
        if (said.document !== PROTOCOL) {
          this.fits = false;
          this.listener.problem(
            `This extension uses version ${PROTOCOL} of the document protocol, marimo-kernel-bridge ${said.version} version ` +
              `${said.document}. Run "marimo-kernel-bridge vscode --install" in the environment of the kernel, then reload the window.`
          );
          this.process?.stdin.end();
        }
        break;
      case 'kernel':
        this.listener.kernel(said.notebook, said.kernel, said.problem);
        break;
      case 'order':
        this.listener.order(said.notebook, said.order);
        break;
      case 'reply':
        this.waiting.get(said.id)?.(said.reply);
        this.waiting.delete(said.id);
    }
  }

  private ended(process: ChildProcessWithoutNullStreams, why: string): void {
    if (this.process !== process) return;
    this.process = undefined;
    for (const answer of this.waiting.values()) answer(gone('this notebook'));
    this.waiting.clear();
    for (const notebook of this.watched) this.listener.kernel(notebook, null, null);
    if (this.disposed || !this.fits) return;
    this.listener.log(`The relay has ended: ${why}`);
    if (this.pause > FIRST_PAUSE)
      this.listener.problem(
        `marimo-kernel-bridge does not run (${why}). Run "marimo-kernel-bridge vscode --install" in an environment that has it, ` +
          'or set marimoKernelBridge.python.'
      );
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.run();
    }, this.pause);
    this.pause = Math.min(4 * this.pause, LONGEST_PAUSE);
  }

  private write(line: object): boolean {
    if (!this.process?.stdin.writable) return false;
    this.process.stdin.write(JSON.stringify(line) + '\n');
    return true;
  }
}

const gone = (notebook: string): Answer => ({
  status: 'error', code: 'no_such_notebook', evalue: `No running kernel is that of ${notebook}.`, hint: ''
});
