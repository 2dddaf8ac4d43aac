/**
 * The proposed texts of cells as documents, for VS Code's own diff editor: `marimo-proposed:/<operation>/<place>/proposed.py`.
 * The person may edit one before accepting it; saving puts the text into the proposal, nowhere else.
 */
import * as vscode from 'vscode';
import type { Shown } from './marks';
import { keyOf } from './notebook_editor';
import type { Notebooks } from './notebooks';
import type { Open, Proposals } from './proposals';
import { withLineFeeds } from './texts';

const SCHEME = 'marimo-proposed';
const NOTHING = 'nothing';

export class ProposedTexts implements vscode.FileSystemProvider {
  private readonly written = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  readonly onDidChangeFile = this.written.event;
  private time = 1;

  constructor(private readonly notebooks: Notebooks) {}

  register(): vscode.Disposable[] {
    const provider = vscode.workspace.registerFileSystemProvider(SCHEME, this, { isCaseSensitive: true });
    return [provider, this.written, this.notebooks.onRedraw(() => this.closeDecided())];
  }

  /** Opens the present text (left) and the proposed one beside the notebook. */
  async showDiff(notebook: vscode.NotebookDocument, shown: Shown, { order, change }: Open): Promise<void> {
    const ending = change.kind === 'insert' && change.type !== 'code' ? 'md' : 'py';
    const text = (place: string): vscode.Uri => vscode.Uri.from({ scheme: SCHEME, path: `/${place}/proposed.${ending}` });
    const cell = 'key' in change ? notebook.getCells().find(cell => keyOf(cell) === change.key) : undefined;
    const left = cell ? cell.document.uri : text(NOTHING);
    const right = change.kind === 'move' ? left : change.kind === 'delete' ? text(NOTHING) : text(`${shown.op_id}/${shown.index}`);
    await vscode.commands.executeCommand('vscode.diff', left, right, `Proposal of ${order.author}`, {
      preview: true, viewColumn: vscode.ViewColumn.Beside
    });
  }

  /** Takes over what the person has typed into proposed texts and not saved. */
  async settle(): Promise<void> {
    const unsaved = vscode.workspace.textDocuments.filter(one => one.uri.scheme === SCHEME && one.isDirty);
    await Promise.all(unsaved.map(one => one.save()));
  }

  stat(uri: vscode.Uri): vscode.FileStat {
    const size = this.readFile(uri).byteLength;
    const fixed = uri.path.startsWith(`/${NOTHING}/`) ? { permissions: vscode.FilePermission.Readonly } : {};
    return { type: vscode.FileType.File, ctime: 0, mtime: this.time, size, ...fixed };
  }

  readFile(uri: vscode.Uri): Uint8Array {
    if (uri.path.startsWith(`/${NOTHING}/`)) return new Uint8Array();
    const change = this.at(uri)?.open.change;
    if (!change || !('code' in change)) throw vscode.FileSystemError.FileNotFound(uri);
    return new TextEncoder().encode(change.code);
  }

  writeFile(uri: vscode.Uri, content: Uint8Array): void {
    const found = this.at(uri);
    if (!found) throw vscode.FileSystemError.FileNotFound(uri);
    this.time++;
    found.proposals.edit(found.open.order.op_id, found.open.index, withLineFeeds(new TextDecoder().decode(content)));
    this.written.fire([{ type: vscode.FileChangeType.Changed, uri }]);
    this.notebooks.redraw(); // the size of the change, at its cell
  }

  watch(): vscode.Disposable {
    return { dispose: () => undefined };
  }

  readDirectory(): [string, vscode.FileType][] {
    return [];
  }

  createDirectory(uri: vscode.Uri): void {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  delete(uri: vscode.Uri): void {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  rename(uri: vscode.Uri): void {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  private at(uri: vscode.Uri): { proposals: Proposals; open: Open } | undefined {
    const [, op_id = '', index] = uri.path.split('/');
    for (const { session: { proposals } } of this.notebooks.all) {
      const open = proposals.find(op_id, Number(index));
      if (open) return { proposals, open };
    }
    return undefined;
  }

  /** Closes what shows a change that is decided. One that has unsaved text of the person stays. */
  private closeDecided(): void {
    const tabs = vscode.window.tabGroups.all.flatMap(group => group.tabs);
    const over = tabs.filter(({ input, isDirty }) => {
      if (isDirty || !(input instanceof vscode.TabInputTextDiff) || input.modified.scheme !== SCHEME) return false;
      return !input.modified.path.startsWith(`/${NOTHING}/`) && !this.at(input.modified);
    });
    if (over.length) void vscode.window.tabGroups.close(over, true);
  }
}
