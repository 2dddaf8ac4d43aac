/** marimo's elements in one open notebook: gives the loader a comm to the kernel, once there is something to make live. */
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';

const TARGET = 'marimo_kernel_bridge.live';
const PAUSE = 500; // ms, until a change of the code is looked at
/** Code that makes elements. A notebook with it gets marimo's front end while the person reads or types, before the first element is shown. */
const MAKES_ELEMENTS = /\bmo\.(ui|lazy|download)\b|\bmarimo\.ui\b|\bfrom marimo import ui\b/;

export class Elements {
  private readonly placeholders: HTMLCollectionOf<Element>;
  private readonly observer = new MutationObserver(() => this.look());
  private kernel: Kernel.IKernelConnection | null = null;
  private connected = false;
  private timer = 0;
  private end = () => {};

  constructor(private readonly panel: NotebookPanel) {
    this.placeholders = panel.content.node.getElementsByClassName('mkb-live');
  }

  /** A kernel of ours is there. */
  attach(kernel: Kernel.IKernelConnection): void {
    if (kernel === this.kernel) return;
    this.kernel = kernel;
    this.connected = false;
    this.observer.observe(this.panel.content.node, { childList: true, subtree: true });
    this.panel.content.modelContentChanged.connect(this.later, this);
    this.look();
    this.expect();
  }

  private later(): void {
    this.timer ||= window.setTimeout(() => this.expect(), PAUSE);
  }

  private expect(): void {
    this.timer = 0;
    if (this.kernel && !this.connected && this.expectsElements()) this.begin();
  }

  private expectsElements(): boolean {
    const cells = this.panel.content.model?.cells ?? [];
    for (const cell of cells) if (cell.type === 'code' && MAKES_ELEMENTS.test(cell.sharedModel.getSource())) return true;
    return false;
  }

  detach(): void {
    this.kernel = null;
    this.connected = false;
    this.rest();
    this.end();
    this.end = () => {};
  }

  private look(): void {
    if (this.placeholders.length) this.begin();
  }

  private begin(): void {
    this.rest();
    if (!this.connected) void this.connect();
    this.connected = true;
  }

  /** Look for elements no more: they are expected now, or no kernel has any. */
  private rest(): void {
    this.observer.disconnect();
    this.panel.content.modelContentChanged.disconnect(this.later, this);
    window.clearTimeout(this.timer);
    this.timer = 0;
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
      notebook: () => this.panel.content.model,
      expects: true
    });
    comm.onMsg = ({ content, buffers }) => line.receive(content.data as { type: string }, buffers);
    comm.onClose = line.close; // a kernel that does not know the target closes it at once
    this.end = () => {
      line.close();
      if (!comm.isDisposed) comm.close();
    };
  }
}
