/** The plugin: follows each notebook that is opened, and has the panel with the graph. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { GraphPanel } from './graphpanel.js';
import { LiveNotebook } from './livenotebook.js';

const SHOW_GRAPH = 'marimo-kernel-bridge:show-graph';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'marimo-kernel-bridge-labextension:document',
  description: 'Shows what agents do to the open notebook, and lets the person decide.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IEditorLanguageRegistry, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    languages: IEditorLanguageRegistry | null,
    palette: ICommandPalette | null
  ) => {
    const open = new Map<NotebookPanel, LiveNotebook>();
    const current = () => (tracker.currentWidget ? open.get(tracker.currentWidget) : undefined);
    let graph: GraphPanel | null = null;
    const redraw = () => graph?.setCells(current()?.graph() ?? []);

    /** Only those who have a notebook of ours get the panel. */
    const addGraph = () => {
      if (graph) return;
      graph = new GraphPanel(key => current()?.editor.show(key));
      app.shell.add(graph, 'right', { rank: 900, type: 'Dataflow' });
      app.commands.addCommand(SHOW_GRAPH, {
        label: 'Show the Dataflow Graph of the Notebook',
        execute: () => app.shell.activateById(graph!.id)
      });
      palette?.addItem({ command: SHOW_GRAPH, category: 'Notebook' });
    };

    const follow = (panel: NotebookPanel) => {
      if (open.has(panel)) return;
      const live = new LiveNotebook(panel, {
        name: app.name,
        version: app.version,
        highlighting: async mimeType => {
          const language = await languages?.getLanguage(mimeType);
          return language?.support ?? null;
        },
        redraw: () => void (current() === live && redraw()),
        attached: addGraph
      });
      open.set(panel, live);
      panel.disposed.connect(() => open.delete(panel));
    };
    tracker.forEach(follow);
    tracker.widgetAdded.connect((_, panel) => follow(panel));
    tracker.currentChanged.connect(redraw);
  }
};
export default plugin;
