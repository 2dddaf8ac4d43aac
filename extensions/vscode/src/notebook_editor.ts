/** A notebook that is open in VS Code, as a session edits it. Keys of cells are the URIs of their documents: VS Code writes
 * `metadata.id` by place and late, so that ids wander to other cells. */
import * as vscode from 'vscode';
import type { Cell, NewCell, Structure } from './cells';
import type { Editor } from './editor';
import { replacement, withLineFeeds } from './texts';
import type { Attention } from './told';

const PAUSE = 1_000;
const LOOKS = 100;
const REVEALED = 50;

export const keyOf = (cell: vscode.NotebookCell): string => cell.document.uri.toString();

export class NotebookEditor implements Editor {
  writable = true;
  private typedAt = 0;
  private ours = 0; // edits of ours that are under way

  constructor(
    readonly notebook: vscode.NotebookDocument,
    private readonly shown: { redraw: () => void; say: (text: string) => void }
  ) {}

  get path(): string {
    return this.notebook.uri.fsPath;
  }

  async lookWhetherWritable(): Promise<void> {
    const { uri } = this.notebook;
    try {
      const { permissions } = await vscode.workspace.fs.stat(uri);
      const readOnly = ((permissions ?? 0) & vscode.FilePermission.Readonly) !== 0;
      this.writable = !readOnly && vscode.workspace.fs.isWritableFileSystem(uri.scheme) !== false && !this.isReadOnlyBySettings();
    } catch {
      this.writable = true; // a new notebook has no file yet
    }
  }

  /** VS Code's API does not tell whether the person can type in a file; its settings do. */
  private isReadOnlyBySettings(): boolean {
    const [cell] = this.notebook.getCells();
    const files = vscode.workspace.getConfiguration('files', this.notebook.uri);
    const isNamedIn = (setting: string): boolean =>
      Object.entries(files.get<Record<string, boolean>>(setting, {})).some(
        ([pattern, on]) => on && cell !== undefined && vscode.languages.match({ pattern }, cell.document) > 0
      );
    return !isNamedIn('readonlyExclude') && isNamedIn('readonlyInclude');
  }

  cells(): Cell[] {
    return this.notebook.getCells().map(cell => ({ key: keyOf(cell), type: typeOf(cell), code: withLineFeeds(cell.document.getText()) }));
  }

  attention(): Attention {
    const shown = vscode.window.activeNotebookEditor;
    const here = shown?.notebook === this.notebook;
    const cell = here ? this.notebook.getCells()[shown.selection.start] : undefined;
    return { dirty: this.notebook.isDirty, focused: here && vscode.window.state.focused, editing: cell ? keyOf(cell) : null };
  }

  /** The person, or an edit of ours, changed a cell's text. */
  typed(): void {
    if (!this.ours) this.typedAt = Date.now();
  }

  async pauseOfTyping(): Promise<void> {
    const most = 1000 * vscode.workspace.getConfiguration('marimoKernelBridge').get<number>('waitForTyping', 10);
    const end = Date.now() + most;
    while (Date.now() - this.typedAt < PAUSE && Date.now() < end) await pause(LOOKS);
  }

  async setTexts(texts: ReadonlyMap<string, string>): Promise<boolean> {
    const edit = new vscode.WorkspaceEdit();
    for (const cell of this.notebook.getCells()) {
      const code = texts.get(keyOf(cell));
      if (code === undefined) continue;
      const { start, end, text } = replacement(withLineFeeds(cell.document.getText()), code);
      edit.replace(cell.document.uri, new vscode.Range(start.line, start.character, end.line, end.character), text);
    }
    return edit.size === 0 || this.applied(edit); // VS Code refuses an empty one
  }

  async restructure(structure: readonly Structure[]): Promise<boolean> {
    const place = this.placeOfTyping();
    const edit = new vscode.WorkspaceEdit();
    edit.set(
      this.notebook.uri,
      structure.map(one =>
        one.kind === 'delete'
          ? vscode.NotebookEdit.deleteCells(new vscode.NotebookRange(one.at, one.at + 1))
          : vscode.NotebookEdit.insertCells(one.at, one.cells.map(cell => this.dataOf(cell)))
      )
    );
    const applied = await this.applied(edit);
    if (applied && place) await this.giveFocusBack(place);
    return applied;
  }

  run(keys: readonly string[]): void {
    const wanted = new Set(keys);
    const ranges = this.notebook.getCells().filter(cell => wanted.has(keyOf(cell))).map(({ index }) => ({ start: index, end: index + 1 }));
    if (ranges.length) void vscode.commands.executeCommand('notebook.cell.execute', { ranges, document: this.notebook.uri });
  }

  async save(): Promise<boolean> {
    return (await this.notebook.save()) && !this.notebook.isDirty;
  }

  redraw(): void {
    this.shown.redraw();
  }

  say(text: string): void {
    this.shown.say(text);
  }

  private async applied(edit: vscode.WorkspaceEdit): Promise<boolean> {
    this.ours++;
    try {
      return await vscode.workspace.applyEdit(edit);
    } finally {
      this.ours--;
    }
  }

  /** VS Code cannot move a cell: the moved one is a new one, with the outputs and metadata of the other. */
  private dataOf({ type, code, moved }: NewCell): vscode.NotebookCellData {
    const before = this.notebook.getCells().find(cell => keyOf(cell) === moved);
    const kind = type === 'code' ? vscode.NotebookCellKind.Code : vscode.NotebookCellKind.Markup;
    const data = new vscode.NotebookCellData(kind, code, before?.document.languageId ?? LANGUAGES[type]);
    if (before) {
      data.metadata = { ...before.metadata };
      data.outputs = [...before.outputs];
      if (before.executionSummary) data.executionSummary = before.executionSummary;
    }
    return data;
  }

  private placeOfTyping(): { document: vscode.TextDocument; selection: vscode.Selection } | null {
    const typing = vscode.window.activeTextEditor;
    if (!typing || !this.notebook.getCells().some(cell => cell.document === typing.document)) return null;
    return { document: typing.document, selection: typing.selection };
  }

  /** A change above pushes the person's cell out of view; VS Code then takes the focus away from it, and what is typed next
   * would be commands of the notebook. */
  private async giveFocusBack(place: { document: vscode.TextDocument; selection: vscode.Selection }): Promise<void> {
    const shown = vscode.window.activeNotebookEditor;
    const at = this.notebook.getCells().findIndex(cell => cell.document === place.document);
    if (shown?.notebook !== this.notebook || at < 0) return;
    shown.selection = new vscode.NotebookRange(at, at + 1);
    shown.revealRange(shown.selection, vscode.NotebookEditorRevealType.InCenterIfOutsideViewport);
    await pause(REVEALED);
    if (vscode.window.activeTextEditor?.document === place.document) return;
    await vscode.commands.executeCommand('notebook.cell.edit');
    const typing = vscode.window.activeTextEditor;
    if (typing?.document === place.document) typing.selection = place.selection;
  }
}

const LANGUAGES: Record<Cell['type'], string> = { code: 'python', markdown: 'markdown', raw: 'raw' };

function typeOf(cell: vscode.NotebookCell): Cell['type'] {
  // The Jupyter extension shows raw cells as code cells of the language "raw".
  if (cell.document.languageId === 'raw') return 'raw';
  return cell.kind === vscode.NotebookCellKind.Code ? 'code' : 'markdown';
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));
