/** Shows in VS Code what agents do to the notebook that is open on a marimo kernel, and lets the person decide. */
import * as vscode from 'vscode';
import { registerCommands } from './commands';
import { selectEnvironment } from './environments';
import { itemsOf } from './marks';
import { Notebooks } from './notebooks';
import { ProposedTexts } from './proposed_texts';
import { chosenPython } from './python';
import { Relay, startRelay } from './relay';
import { AgentsItem } from './status';

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('marimo kernel bridge', { log: true });
  const python = (): string => chosenPython(vscode.workspace.getConfiguration('marimoKernelBridge').get<string>('python', ''));
  let told = '';
  const problem = (text: string): void => {
    log.error(text);
    if (text !== told) void vscode.window.showWarningMessage((told = text));
  };
  const relay = new Relay(() => startRelay(python()), {
    kernel: (path, kernel, why) => {
      log.info(kernel === null ? `${path}: no kernel${why ? `: ${why}` : ''}` : `${path}: kernel ${kernel}`);
      void notebooks.kernel(path, kernel);
    },
    order: (path, order) => {
      log.debug(`${path}: ${order.kind}`);
      notebooks.order(path, order);
    },
    problem,
    log: text => log.info(text)
  });
  const { version } = context.extension.packageJSON as { version: string };
  const say = (text: string): void => {
    log.info(text);
    // A message in VS Code makes links of [text](command:...).
    void vscode.window.showInformationMessage(text.replaceAll('](', '] ('));
  };
  const notebooks = new Notebooks(relay, version, say);
  const texts = new ProposedTexts(notebooks);
  const { workspace, window } = vscode;
  context.subscriptions.push(
    log,
    notebooks,
    relay,
    new AgentsItem(notebooks),
    workspace.onDidOpenNotebookDocument(one => notebooks.opened(one)),
    workspace.onDidCloseNotebookDocument(one => void notebooks.closed(one)),
    workspace.onDidChangeNotebookDocument(event => notebooks.changed(event)),
    workspace.onDidChangeTextDocument(event => notebooks.typed(event)),
    workspace.onWillRenameFiles(event => event.files.forEach(({ oldUri, newUri }) => notebooks.renamed(oldUri.fsPath, newUri.fsPath))),
    window.onDidChangeNotebookEditorSelection(() => notebooks.looked()),
    window.onDidChangeActiveNotebookEditor(() => notebooks.looked()),
    window.onDidChangeWindowState(() => notebooks.looked()),
    vscode.notebooks.registerNotebookCellStatusBarItemProvider('jupyter-notebook', {
      onDidChangeCellStatusBarItems: notebooks.onRedraw,
      provideCellStatusBarItems: cell => {
        const path = cell.notebook.uri.fsPath;
        const one = notebooks.at(path);
        return one ? itemsOf(one.session, path, cell) : [];
      }
    }),
    ...texts.register(),
    ...registerCommands(notebooks, texts, say),
    vscode.commands.registerCommand('marimoKernelBridge.showLog', () => log.show()),
    vscode.commands.registerCommand('marimoKernelBridge.selectEnvironment', () => selectEnvironment(python(), log)),
    vscode.lm.registerMcpServerDefinitionProvider('marimoKernelBridge.mcp', {
      provideMcpServerDefinitions: () => {
        const allow = vscode.workspace.getConfiguration('marimoKernelBridge').get<string>('mcp.allow', 'propose');
        const words = ['-P', '-m', 'marimo_kernel_bridge', 'mcp', '--allow', allow];
        return [new vscode.McpStdioServerDefinition('marimo kernel bridge', python(), words, {}, version)];
      }
    })
  );
  workspace.notebookDocuments.forEach(one => notebooks.opened(one));
}

export function deactivate(): void {
  // what `activate` registered is disposed
}
