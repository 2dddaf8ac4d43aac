/** marimo's elements in one open notebook: gives the loader a comm to the kernel, once there is something to make live. */
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';

const TARGET = 'marimo_kernel_bridge.live';
const PAUSE = 500; // ms, until a change of the code is looked at
const AGAIN = 5_000; // ms, until the loader is fetched again
/** Code that makes elements. A notebook with it gets marimo's front end while the person reads or types, before the first element is shown. */
const MAKES_ELEMENTS = /\bmo\.(ui|lazy|download)\b|\bmarimo\.ui\b|\bfrom marimo import ui\b/;

/** Only those who show an element load it. */
const fetchLoader = () => import(/* webpackChunkName: "loader" */ './loader/loader.js');

export class Elements {
  private readonly placeholders: HTMLCollectionOf<Element>;
  private readonly observer = new MutationObserver(() => this.look());
  private kernel: Kernel.IKernelConnection | null = null;
  private frontEnd = '';
  private none = false;
  /** The connection to the present kernel, also while it is made. */
  private connection: object | null = null;
  private timer = 0;
  private end = () => {};
  /** Tells the loader that it is known which kernel there is. */
  private known = () => {};

  constructor(
    private readonly panel: NotebookPanel,
    private readonly loader = fetchLoader
  ) {
    this.placeholders = panel.content.node.getElementsByClassName('mkb-live');
    void panel.context.ready.then(() => this.warmUp()).catch(() => undefined); // a file that cannot be read has no elements
  }

  /** A kernel of ours is there, which has this front end of marimo's; empty if it does not say. */
  attach(kernel: Kernel.IKernelConnection, frontEnd = ''): void {
    if (kernel === this.kernel) return;
    this.kernel = kernel;
    this.frontEnd = frontEnd;
    this.connection = null;
    this.watch();
    this.expect();
  }

  detach(): void {
    this.kernel = null;
    this.connection = null;
    this.rest();
    this.end();
    this.end = () => {};
  }

  /** The person opens a notebook with elements: much of their front end can be ready before there is a kernel. */
  private async warmUp(): Promise<void> {
    if (this.panel.isDisposed || !this.expectsElements()) return;
    const { warmUp, expectKernel } = await this.loader();
    if (!this.kernel && !this.none) this.known = expectKernel(this.panel.content.node);
    await warmUp();
  }

  /** There is no kernel, or none that has elements. */
  miss(): void {
    this.none = true;
    this.known();
  }

  private watch(): void {
    this.observer.observe(this.panel.content.node, { childList: true, subtree: true });
    this.panel.content.modelContentChanged.connect(this.later, this);
    this.look();
  }

  private later(): void {
    this.timer ||= window.setTimeout(() => this.expect(), PAUSE);
  }

  private expect(): void {
    this.timer = 0;
    if (this.kernel && !this.connection && this.expectsElements()) this.begin();
  }

  private expectsElements(): boolean {
    const cells = this.panel.content.model?.cells ?? [];
    for (const cell of cells) if (cell.type === 'code' && MAKES_ELEMENTS.test(cell.sharedModel.getSource())) return true;
    return false;
  }

  private look(): void {
    if (this.placeholders.length) this.begin();
  }

  private begin(): void {
    this.rest();
    if (this.kernel && !this.connection) void this.connect(this.kernel);
  }

  /** Look for elements no more: they are expected now, or no kernel has any. */
  private rest(): void {
    this.observer.disconnect();
    this.panel.content.modelContentChanged.disconnect(this.later, this);
    window.clearTimeout(this.timer);
    this.timer = 0;
  }

  private async connect(kernel: Kernel.IKernelConnection): Promise<void> {
    const connection = (this.connection = {});
    let loader: Awaited<ReturnType<typeof fetchLoader>>;
    try {
      loader = await this.loader();
    } catch {
      if (connection === this.connection) this.timer = window.setTimeout(() => this.again(), AGAIN);
      return;
    }
    if (connection !== this.connection) return; // the kernel went away meanwhile
    if (this.frontEnd) loader.expect(this.frontEnd);
    const comm = kernel.createComm(TARGET);
    this.known();
    this.known = loader.expectKernel(this.panel.content.node);
    let opened = false;
    const line = loader.connect({
      send: message => {
        if (comm.isDisposed) return;
        if (opened) comm.send(message as {});
        else comm.open(message as {});
        opened = true;
      },
      notebook: () => this.panel.content.model,
      expects: true
    });
    comm.onMsg = ({ content, buffers }) => {
      line.receive(content.data as { type: string }, buffers);
      this.known(); // the first is the welcome
    };
    comm.onClose = () => {
      line.close(); // a kernel that does not know the target closes it at once
      this.known();
    };
    this.end = () => {
      line.close();
      this.known();
      if (!comm.isDisposed) comm.close();
    };
  }

  /** The loader did not come: the server was away. */
  private again(): void {
    this.connection = null;
    this.watch();
    this.expect();
  }
}
