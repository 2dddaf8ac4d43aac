/** Has Lab learn the status of a kernel where nothing else makes it known. */

const PATIENCE = 1_000; // ms until it is asked for; doubles each time
const KNOWN = new Set(['idle', 'busy', 'dead', 'terminating']); // not those that a kernel has only until it says more

export interface Asked {
  readonly status: string;
  readonly connectionStatus: string;
  requestHistory(content: { output: false; raw: true; hist_access_type: 'tail'; n: 1 }): Promise<unknown>;
}

/**
 * Lab reads the status from what a kernel publishes around requests, but not around those for its info, which are all that it sends by
 * itself once a lost connection is there again: the kernel's status is unknown then until the person runs a cell. So it stays that of a
 * kernel that starts, if the page hears that and nothing more.
 */
export class StatusQuestion {
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly current: () => Asked | null | undefined) {}

  /** The kernel is connected: ask it, unless its status is known soon. */
  begin(patience = PATIENCE): void {
    this.stop();
    this.timer = setTimeout(() => {
      const kernel = this.current();
      if (!kernel || KNOWN.has(kernel.status)) return;
      if (kernel.connectionStatus === 'connected') void kernel.requestHistory({ output: false, raw: true, hist_access_type: 'tail', n: 1 }).catch(() => undefined);
      this.begin(patience * 2);
    }, patience);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
