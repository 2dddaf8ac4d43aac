/** The proposed text of a cell as a read-only document, for VS Code's own diff editor. */
import * as vscode from 'vscode';
import { keyOf } from './notebook_editor';
import type { Notebooks } from './notebooks';
import type { Shown } from './marks';
import type { Open } from './proposals';

export const PROPOSED = 'marimo-proposed';
const NOTHING = 'nothing';

export class ProposedTexts implements vscode.TextDocumentContentProvider {
  constructor(private readonly notebooks: Notebooks) {}

  provideTextDocumentContent(uri: vscode.Uri): string {
    if (uri.query === NOTHING) return '';
    const { path, op_id, index } = JSON.parse(uri.query) as Shown;
    const change = this.notebooks.at(path)?.session.proposals.find(op_id, index)?.change;
    return change && 'code' in change ? change.code : '';
  }
}

/** Opens the present text (left) and the proposed one beside the notebook. */
export async function showDiff(notebook: vscode.NotebookDocument, shown: Shown, { order, change }: Open): Promise<void> {
  const ending = change.kind === 'insert' && change.type !== 'code' ? 'md' : 'py';
  const text = (query: string): vscode.Uri => vscode.Uri.from({ scheme: PROPOSED, path: `/proposed.${ending}`, query });
  const cell = 'key' in change ? notebook.getCells().find(cell => keyOf(cell) === change.key) : undefined;
  const left = cell ? cell.document.uri : text(NOTHING);
  const right = change.kind === 'move' ? left : change.kind === 'delete' ? text(NOTHING) : text(JSON.stringify(shown));
  await vscode.commands.executeCommand('vscode.diff', left, right, `Proposal of ${order.author}`, {
    preview: true, viewColumn: vscode.ViewColumn.Beside
  });
}
