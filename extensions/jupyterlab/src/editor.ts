/** The cells of one open notebook: reads them, changes them as one step of undo, runs them. Sends no requests of ours. */
import { CodeCell, type Cell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { CellSettings, DocumentChange, RunOf, ShownOutputs } from '../../protocol';
import { planned, type Cell as PlanCell, type Plan, type Step } from './plan.js';
import { KEYS, settingsOf, withSettings } from './settings.js';
import { edit } from './text.js';

const METADATA_KEY = 'marimo_kernel_bridge';
const FRAMES = 6; // until the layout after an insertion has settled

export interface Applied extends Omit<Plan, 'steps'> {
  /** The keys of new cells by token. */
  added: Record<string, string>;
  /** The keys of cells with a new text. */
  touched: string[];
}

/** A shared cell or notebook, as far as undo is concerned; its interface in @jupyter/ydoc leaves the manager out. */
interface Undoable {
  undoManager?: { stopCapturing(): void } | null;
}

export class NotebookEditor {
  constructor(private readonly panel: NotebookPanel) {}

  get readOnly(): boolean {
    const { context } = this.panel;
    return context.model.readOnly || context.contentsModel?.writable === false;
  }

  cells(): PlanCell[] {
    const cells = this.panel.content.model?.cells;
    return Array.from(cells ?? [], cell => ({
      key: cell.id,
      type: cell.type as PlanCell['type'],
      code: cell.sharedModel.getSource(),
      settings: settingsOf({ marimo: cell.getMetadata('marimo'), jupyter: cell.getMetadata('jupyter') }),
      editable: cell.getMetadata('editable') !== false,
      deletable: cell.getMetadata('deletable') !== false
    }));
  }

  index(key: string | null): number {
    return key === null ? -1 : this.panel.content.widgets.findIndex(cell => cell.model.id === key);
  }

  cell(key: string | null): Cell | undefined {
    return this.panel.content.widgets[this.index(key)];
  }

  text(key: string): string | null {
    // Not that of its widget, which there is none of for a moment when a cell is moved.
    const shared = this.panel.content.model?.sharedModel.cells.find(cell => cell.getId() === key);
    return shared?.getSource() ?? null;
  }

  /** Whether a cell shows the number of a run, of this kernel or of an earlier one. */
  hasPrompt(key: string): boolean {
    const cell = this.cell(key);
    return cell instanceof CodeCell && cell.model.executionCount !== null;
  }

  /** Make all changes, or none if one does not fit what is there now. The person's place on the screen stays. */
  apply(changes: readonly DocumentChange[]): Applied {
    const plan = this.readOnly
      ? { steps: [], conflicts: [], refused: 'The document is read-only.' }
      : planned(this.cells(), changes);
    const applied: Applied = { conflicts: plan.conflicts, refused: plan.refused, added: {}, touched: [] };
    if (!plan.steps.length) return applied;
    const settle = this.place();
    for (const step of plan.steps) if (step.kind === 'text') this.replace(step.key, step.code, applied);
    this.arrange(plan.steps.filter(step => step.kind !== 'text'), applied);
    settle();
    return applied;
  }

  /** Text is in the history of its cell: Ctrl+Z there undoes it. */
  private replace(key: string, code: string, applied: Applied): void {
    const shared = this.cell(key)!.model.sharedModel;
    const { undoManager } = shared as Undoable;
    const { from, to, insert } = edit(shared.getSource(), code);
    undoManager?.stopCapturing(); // else one step with what the person typed within half a second
    if (from !== to || insert) shared.updateSource(from, to, insert);
    undoManager?.stopCapturing();
    applied.touched.push(key);
  }

  /** Cells are in the history of the notebook: Z in command mode undoes them. */
  private arrange(steps: Step[], applied: Applied): void {
    if (!steps.length) return;
    const notebook = this.panel.content;
    const shared = notebook.model!.sharedModel;
    const { undoManager } = shared as Undoable;
    const active = notebook.activeCell?.model.id ?? null;
    const { mode } = notebook;
    undoManager?.stopCapturing();
    // A transaction for each, which the undo manager joins: within one, the notebook would move the cell that was there before.
    for (const step of steps) {
      if (step.kind === 'insert') {
        const cell = shared.insertCell(step.at, { cell_type: step.type, source: step.code, metadata: {} });
        applied.added[step.token] = cell.getId();
        applied.touched.push(cell.getId());
      } else if (step.kind === 'delete') shared.deleteCell(step.at);
      else if (step.kind === 'move') shared.moveCell(step.from, step.to);
    }
    undoManager?.stopCapturing();
    const index = this.index(active);
    if (index >= 0 && index !== notebook.activeCellIndex) {
      notebook.activeCellIndex = index; // it was moved, which is done by a new cell
      if (mode === 'edit') notebook.mode = mode;
    }
  }

  /** Run code cells without moving the person's view, selection or mode. Null author: the person runs them. */
  run(keys: readonly string[], author: string | null, op: string | null): RunOf[] {
    const runs: RunOf[] = [];
    for (const key of keys) {
      const cell = this.cell(key);
      if (!(cell instanceof CodeCell)) continue;
      const metadata = {
        deletedCells: [...this.panel.content.model!.deletedCells],
        ...(author === null ? {} : { [METADATA_KEY]: { author, op } })
      };
      CodeCell.execute(cell, this.panel.sessionContext, metadata).catch(() => undefined); // the cell shows its error
      const future = cell.outputArea.future as typeof cell.outputArea.future | null;
      if (cell.model.sharedModel.getSource().trim()) runs.push({ key, msg_id: future?.msg.header.msg_id ?? null });
    }
    return runs;
  }

  /** Give cells settings of marimo's, in their metadata. */
  settle(cells: Record<string, CellSettings>): void {
    if (this.readOnly) return;
    for (const [key, settings] of Object.entries(cells)) {
      const cell = this.cell(key);
      if (!cell) continue;
      const { model } = cell;
      const isCode = cell instanceof CodeCell;
      const metadata = withSettings({ marimo: model.getMetadata('marimo'), jupyter: model.getMetadata('jupyter') }, settings, isCode);
      for (const name of KEYS) {
        if (metadata[name] !== undefined) model.setMetadata(name, metadata[name]);
        else model.deleteMetadata(name);
      }
      if (isCode) cell.inputHidden = settings.hide_code === true;
    }
  }

  /** Show outputs in cells that show none, as when a notebook is opened. */
  showOutputs(cells: Record<string, ShownOutputs>): void {
    for (const [key, { outputs, execution_count }] of Object.entries(cells)) {
      const cell = this.cell(key);
      if (!(cell instanceof CodeCell) || cell.outputArea.model.length) continue;
      cell.outputArea.model.fromJSON(outputs as Parameters<typeof cell.outputArea.model.fromJSON>[0]);
      cell.model.executionCount = execution_count;
    }
  }

  /** Remember where the person's cell is on the screen; the returned function puts it there again. */
  private place(): () => void {
    const notebook = this.panel.content as typeof this.panel.content & { outerNode?: HTMLElement };
    const cell = notebook.activeCell;
    const scroller = notebook.outerNode ?? notebook.node;
    if (!cell?.node.isConnected) return () => undefined;
    const { top, bottom } = cell.node.getBoundingClientRect();
    const view = scroller.getBoundingClientRect();
    if (top >= view.bottom || bottom <= view.top) return () => undefined;
    const frame = (left: number): void => {
      if (!left || cell.isDisposed || !cell.node.isConnected) return;
      scroller.scrollTop += cell.node.getBoundingClientRect().top - top;
      requestAnimationFrame(() => frame(left - 1));
    };
    return () => requestAnimationFrame(() => frame(FRAMES));
  }

  /** Show a cell, for a person who asked for it. */
  show(key: string): void {
    const index = this.index(key);
    if (index < 0) return;
    this.panel.content.activeCellIndex = index;
    void this.panel.content.scrollToItem(index, 'center');
  }
}
