/** Finds out what the kernel of a notebook is, also when the first answer is lost, or another kernel has taken its place meanwhile. */

const PATIENCE = 5_000; // ms until a kernel that has not answered is asked once more; doubles each time
const LONGEST = 60_000;

export interface Greeted<Info> {
  readonly info: Promise<Info>;
  readonly connectionStatus: string;
  /** Ask anew; what is answered also resolves `info`. */
  requestKernelInfo(): Promise<unknown>;
}

/**
 * Lab asks a kernel once for each connection, and waits for the reply and the idle status. Where the latter is lost, `info` is never
 * resolved, although the kernel runs cells; nor is that of a connection that is disposed of before.
 */
export class Greeting<Info> {
  private asked: Greeted<Info> | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly current: () => Greeted<Info> | null | undefined,
    private readonly answered: (info: Info) => void
  ) {}

  /** Ask the present kernel, unless that is being done. */
  greet(): void {
    const kernel = this.current();
    if (!kernel || kernel === this.asked || kernel.connectionStatus !== 'connected') return;
    this.stop();
    this.asked = kernel;
    this.wait(kernel, PATIENCE);
    const end = (info?: Info) => {
      if (kernel !== this.asked) return; // another one is asked by now
      this.stop();
      if (info && kernel === this.current() && kernel.connectionStatus === 'connected') this.answered(info);
    };
    kernel.info.then(end, () => end());
  }

  stop(): void {
    clearTimeout(this.timer);
    this.asked = null;
  }

  private wait(kernel: Greeted<Info>, patience: number): void {
    this.timer = setTimeout(() => {
      if (kernel.connectionStatus === 'connected') void kernel.requestKernelInfo().catch(() => undefined);
      this.wait(kernel, Math.min(patience * 2, LONGEST));
    }, patience);
  }
}
