/** Output that comes for requests of an earlier page, which Lab itself has no receiver for: shown in their cells. */
import { CodeCell } from '@jupyterlab/cells';
import type { NotebookEditor } from './editor.js';
import type { Message } from './kernel.js';

export class LateOutputs {
  private cells = new Map<string, string>(); // by the id of the request
  private readonly displays = new Map<string, { key: string; index: number }[]>();

  constructor(private readonly editor: NotebookEditor) {}

  /** Take over these requests, by cell. */
  adopt(parents: Record<string, string>): void {
    this.cells = new Map(Object.entries(parents).map(([key, request]) => [request, key]));
    this.displays.clear();
  }

  show({ header, parent_header, content }: Message): void {
    const key = this.cells.get(parent_header.msg_id ?? '');
    if (key === undefined) return;
    const cell = this.editor.cell(key);
    if (!(cell instanceof CodeCell)) return;
    if (cell.outputArea.future) return void this.cells.delete(parent_header.msg_id!); // ran again on this page
    const outputs = cell.outputArea.model;
    const { transient, ...output } = { ...content, output_type: header.msg_type };
    switch (header.msg_type) {
      case 'clear_output':
        outputs.clear(content.wait);
        break;
      case 'display_data':
        if (transient?.display_id) this.places(transient.display_id).push({ key, index: outputs.length });
        outputs.add(output);
        break;
      case 'stream':
      case 'execute_result':
      case 'error':
        outputs.add(output);
        break;
      case 'update_display_data':
        for (const place of this.places(transient?.display_id)) this.replace(place, { ...output, output_type: 'display_data' });
    }
  }

  private places(display: string): { key: string; index: number }[] {
    if (!this.displays.has(display)) this.displays.set(display, []);
    return this.displays.get(display)!;
  }

  private replace({ key, index }: { key: string; index: number }, output: any): void { // eslint-disable-line
    const cell = this.editor.cell(key);
    if (cell instanceof CodeCell && index < cell.outputArea.model.length) cell.outputArea.model.set(index, output);
  }
}
