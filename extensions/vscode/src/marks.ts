/** What stands in the status bars of cells: proposals with their buttons, the author of the text, and its state. */
import * as vscode from 'vscode';
import type { CellState } from '../../protocol';
import type { Cell } from './cells';
import { keyOf } from './notebook_editor';
import { type Open, diffOf, whatOf } from './proposals';
import type { Session } from './session';
import { asLabel, sizeOf, withLineFeeds } from './texts';

export interface Shown {
  path: string;
  op_id: string;
  index: number;
}

const { Left, Right } = vscode.NotebookCellStatusBarAlignment;

export function itemsOf(session: Session, path: string, cell: vscode.NotebookCell): vscode.NotebookCellStatusBarItem[] {
  const settings = vscode.workspace.getConfiguration('marimoKernelBridge');
  const value: Cell = { key: keyOf(cell), type: 'code', code: withLineFeeds(cell.document.getText()) };
  const here = session.proposals.all.filter(one => (session.proposals.anchor(one) ?? keyOf(cell.notebook.cellAt(0))) === value.key);
  const items = here.flatMap((one, rank) => proposalItems(one, path, value.code, 100 - 3 * rank, here.length > 1));
  const state = session.states.get(value.key);
  if (state && settings.get<boolean>('showStates', true)) items.push(...stateItems(state));
  const author = session.authorOf(value);
  if (author && settings.get<boolean>('showAuthors', true)) {
    const undo = { command: 'marimoKernelBridge.undo', title: 'Undo', arguments: [{ path, op_id: author.op_id }] };
    items.push(item(`$(sparkle) ${asLabel(author.author)}`, Right, 0, 'An agent wrote this text. Click to undo its change.', undo));
  }
  return items;
}

/** Several at one cell are short: VS Code leaves out items that do not fit into half of the cell's width. */
function proposalItems(
  one: Open, path: string, present: string, rank: number, short: boolean
): vscode.NotebookCellStatusBarItem[] {
  const { order, index } = one;
  const diff = diffOf(one.change, present);
  const conflict = order.conflict ? ['You changed the cell while the agent did.'] : [];
  const tooltip = [`Proposal of ${order.author}.`, order.note || 'Nothing is changed before you accept.', ...conflict, ...diff].join('\n');
  const command = (name: string): vscode.Command => ({
    command: `marimoKernelBridge.${name}`, title: name, arguments: [{ path, op_id: order.op_id, index } satisfies Shown]
  });
  const author = short ? '' : `${asLabel(order.author)}: `;
  const what = `$(diff) ${author}${whatOf(one)} ${diff.length ? sizeOf(diff) : ''}`.trimEnd();
  return [ // the first ones stay where the column is narrow
    item(short ? '$(check)' : '$(check) Accept', Left, rank + 2, `Accept.\n${tooltip}`, command('accept')),
    item(short ? '$(close)' : '$(close) Reject', Left, rank + 1, `Reject.\n${tooltip}`, command('reject')),
    item(what, Left, rank, tooltip, command('diff'))
  ];
}

function stateItems(state: CellState): vscode.NotebookCellStatusBarItem[] {
  if (state.changed) return [item('$(circle-filled) differs from what ran', Left, 10, 'The kernel has run another text of this cell.')];
  if (state.stale) return [item('$(history) stale', Left, 10, 'A cell that this one uses has changed. Run it, or sync the notebook.')];
  return [];
}

function item(
  text: string, side: vscode.NotebookCellStatusBarAlignment, priority: number, tooltip: string,
  command?: vscode.Command
): vscode.NotebookCellStatusBarItem {
  const made = new vscode.NotebookCellStatusBarItem(text, side);
  made.priority = priority;
  made.tooltip = tooltip;
  if (command) made.command = command;
  return made;
}
