/** The commands that concern agents and the kernel's state; each is about the notebook that the person looks at. */
import * as vscode from 'vscode';
import type { Compared } from '../../protocol';
import type { Shown } from './marks';
import { keyOf } from './notebook_editor';
import type { Notebooks, OpenNotebook } from './notebooks';
import type { ProposedTexts } from './proposed_texts';
import { asLabel } from './texts';

const NOT_ATTACHED = 'No marimo kernel is attached to this notebook. Run one of its cells on one.';

export function registerCommands(notebooks: Notebooks, texts: ProposedTexts, say: (text: string) => void): vscode.Disposable[] {
  // `never`: what a command gets is what the item that names it has as arguments.
  const command = (name: string, work: (...given: never[]) => unknown): vscode.Disposable =>
    vscode.commands.registerCommand(`marimoKernelBridge.${name}`, work as (...given: unknown[]) => unknown);
  const withActive = (work: (one: OpenNotebook) => unknown) => (): unknown => {
    const one = notebooks.active;
    return one?.session.attached ? work(one) : say(NOT_ATTACHED);
  };
  const decideOne = (accepted: boolean) => async (shown: Shown): Promise<void> => {
    await texts.settle();
    const session = notebooks.at(shown.path)?.session;
    const open = session?.proposals.find(shown.op_id, shown.index);
    if (open) await session?.decide([open], accepted);
  };
  const decideAll = (accepted: boolean): (() => unknown) =>
    withActive(async ({ session }) => {
      await texts.settle();
      await session.decide(session.proposals.all, accepted);
    });
  return [
    command('accept', decideOne(true)),
    command('reject', decideOne(false)),
    command('acceptAll', decideAll(true)),
    command('rejectAll', decideAll(false)),
    command('diff', (shown: Shown) => {
      const one = notebooks.at(shown.path);
      const open = one?.session.proposals.find(shown.op_id, shown.index);
      return one && open ? texts.showDiff(one.editor.notebook, shown, open) : undefined;
    }),
    command('togglePause', withActive(({ session }) => session.pause(!session.paused))),
    command('undo', async (given?: { path: string; op_id: string }) => {
      const one = given ? notebooks.at(given.path) : notebooks.active;
      if (!one?.session.attached) return say(NOT_ATTACHED);
      if ((await one.session.undo(given?.op_id)) === null) say('There is no change of an agent to undo.');
    }),
    command('sync', withActive(async ({ session }) => {
      const count = await session.sync();
      if (count === 0) say('The notebook is what ran: there is nothing to run.');
    })),
    command('compare', withActive(async one => {
      const compared = await one.session.compare();
      if (compared) await showComparison(one, compared);
    }))
  ];
}

async function showComparison({ editor }: OpenNotebook, compared: Compared): Promise<void> {
  const kinds: [keyof Compared, string][] = [
    ['changed', 'its text differs from what ran'], ['never_run', 'it never ran'], ['stale', 'a cell that it uses has changed'],
    ['failed', 'it failed']
  ];
  const cells = editor.notebook.getCells();
  const picks = kinds.flatMap(([kind, description]) =>
    (compared[kind] as string[]).flatMap(key => {
      const cell = cells.find(cell => keyOf(cell) === key);
      return cell ? [{ label: asLabel(cell.document.lineAt(0).text || '(empty)'), description, index: cell.index }] : [];
    })
  );
  const only = compared.kernel_only.length;
  const title = only ? `${only} cells are in the kernel only` : 'Cells that differ from what ran';
  if (!picks.length) {
    void vscode.window.showInformationMessage(only ? `${title}. All others are what ran.` : 'The notebook is what ran.');
    return;
  }
  const picked = await vscode.window.showQuickPick(picks.sort((a, b) => a.index - b.index), { title });
  const shown = vscode.window.activeNotebookEditor;
  if (!picked || shown?.notebook !== editor.notebook) return;
  shown.selection = new vscode.NotebookRange(picked.index, picked.index + 1);
  shown.revealRange(shown.selection, vscode.NotebookEditorRevealType.InCenterIfOutsideViewport);
}
