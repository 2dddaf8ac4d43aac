/** marimo's elements in one open notebook: gives the loader a comm to the kernel, once there is something to make live. */
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';

const TARGET = 'marimo_kernel_bridge.live';

export class Elements {
  private readonly placeholders: HTMLCollectionOf<Element>;
  private readonly observer = new MutationObserver(() => this.look());
  private kernel: Kernel.IKernelConnection | null = null;
  private end = () => {};

  constructor(private readonly panel: NotebookPanel) {
    this.placeholders = panel.content.node.getElementsByClassName('mkb-live');
  }

  /** A kernel of ours is there. */
  attach(kernel: Kernel.IKernelConnection): void {
    if (kernel === this.kernel) return;
    this.kernel = kernel;
    this.observer.observe(this.panel.content.node, { childList: true, subtree: true });
    this.look();
  }

  detach(): void {
    this.kernel = null;
    this.observer.disconnect();
    this.end();
    this.end = () => {};
  }

  private look(): void {
    if (!this.placeholders.length) return;
    this.observer.disconnect();
    void this.connect();
  }

  private async connect(): Promise<void> {
    const { kernel } = this;
    const { connect } = await import(/* webpackChunkName: "loader" */ './loader.js'); // only those who show an element load it
    if (!kernel || kernel !== this.kernel) return; // it went away meanwhile
    const comm = kernel.createComm(TARGET);
    let opened = false;
    const line = connect({
      send: message => {
        if (comm.isDisposed) return;
        if (opened) comm.send(message as {});
        else comm.open(message as {});
        opened = true;
      },
      notebook: () => this.panel.content.model
    });
    comm.onMsg = ({ content, buffers }) => line.receive(content.data as { type: string }, buffers);
    comm.onClose = line.close; // a kernel that does not know the target closes it at once
    this.end = () => {
      line.close();
      if (!comm.isDisposed) comm.close();
    };
  }
}
