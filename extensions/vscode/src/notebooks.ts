/** The sessions of the notebooks that are open in this window, and the events that concern them. */
import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import type { Order } from '../../protocol';
import { hasKernel } from './gate';
import { NotebookEditor, keyOf } from './notebook_editor';
import type { Relay } from './relay';
import { Session } from './session';

export interface OpenNotebook {
  editor: NotebookEditor;
  session: Session;
  /** The kernel that the relay has found, null if there is none. */
  kernel: string | null;
}

const isOurs = (notebook: vscode.NotebookDocument): boolean =>
  notebook.notebookType === 'jupyter-notebook' && notebook.uri.scheme === 'file';

export class Notebooks implements vscode.Disposable {
  private open = new Map<string, OpenNotebook>();
  private readonly redrawn = new vscode.EventEmitter<void>();
  readonly onRedraw = this.redrawn.event;

  constructor(
    private readonly relay: Relay,
    private readonly version: string,
    private readonly say: (text: string) => void
  ) {}

  get all(): OpenNotebook[] {
    return [...this.open.values()];
  }

  at(path: string): OpenNotebook | undefined {
    return this.open.get(path);
  }

  /** The notebook that the person looks at. */
  get active(): OpenNotebook | undefined {
    const shown = vscode.window.activeNotebookEditor?.notebook;
    return shown && this.open.get(shown.uri.fsPath);
  }

  opened(notebook: vscode.NotebookDocument): void {
    const path = notebook.uri.fsPath;
    if (!isOurs(notebook) || this.open.has(path)) return;
    const editor = new NotebookEditor(notebook, { redraw: () => this.redraw(), say: this.say });
    const line = { ask: (content: Parameters<Relay['ask']>[1]) => this.relay.ask(path, content) };
    this.open.set(path, { editor, kernel: null, session: new Session(editor, line, this.version, () => randomUUID()) });
    this.relay.watch(path);
  }

  async closed(notebook: vscode.NotebookDocument): Promise<void> {
    const path = notebook.uri.fsPath;
    const one = this.open.get(path);
    if (one?.editor.notebook !== notebook) return;
    this.open.delete(path);
    await one.session.detach();
    if (!this.open.has(path)) this.relay.unwatch(path);
  }

  /** The relay has found the kernel of a notebook, or it has ended. */
  async kernel(path: string, kernel: string | null): Promise<void> {
    const one = this.open.get(path);
    if (!one) return;
    one.kernel = kernel;
    if (kernel === null) one.session.lost();
    else await this.attach(one);
  }

  order(path: string, order: Order): void {
    void this.open.get(path)?.session.take(order);
  }

  changed(event: vscode.NotebookDocumentChangeEvent): void {
    const one = this.open.get(event.notebook.uri.fsPath);
    if (!one) return;
    for (const { removedCells, addedCells } of event.contentChanges) {
      if (removedCells.length !== 1) continue;
      // The person moved a cell: VS Code tells of a cell that went and one that came.
      const others = event.contentChanges.flatMap(change => change.addedCells);
      const same = (addedCells.length ? addedCells : others).find(cell => cell.document.getText() === removedCells[0]!.document.getText());
      if (same) one.session.moved(keyOf(removedCells[0]!), keyOf(same));
    }
    const ran = event.cellChanges.flatMap(({ executionSummary }) => executionSummary ?? []);
    if (ran.length) this.ran(one, ran.some(({ success }) => success !== undefined));
    one.session.changed();
  }

  typed(event: vscode.TextDocumentChangeEvent): void {
    if (event.document.uri.scheme !== 'vscode-notebook-cell' || !event.contentChanges.length) return;
    const one = this.open.get(event.document.uri.fsPath);
    if (!one) return;
    one.editor.typed();
    one.session.changed();
    this.redraw();
  }

  /** The person looks at another notebook or cell. */
  looked(): void {
    for (const one of this.all) one.session.changed();
    this.redraw();
  }

  /** A notebook will have another path: its documents close, and open again under it. */
  renamed(before: string, after: string): void {
    if (this.open.has(before)) this.relay.renamed(before, after);
  }

  /** Something that is shown at cells has changed. */
  redraw(): void {
    this.redrawn.fire();
  }

  dispose(): void {
    this.redrawn.dispose();
  }

  /**
   * A cell runs: by now this window has a kernel. When one has ended, that kernel knows its notebook. The relay may have found the
   * kernel of another window with the same file before: it looks again.
   */
  private ran(one: OpenNotebook, ended: boolean): void {
    if (!one.session.attached && (ended || one.kernel === null)) this.relay.watch(one.editor.path);
  }

  private async attach(one: OpenNotebook): Promise<void> {
    await one.editor.lookWhetherWritable();
    if (await hasKernel(one.editor.notebook)) await one.session.attach();
  }
}
