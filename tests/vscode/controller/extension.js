// Runs cells as the Jupyter extension does: one request after the other, late messages to the newest request of a cell.
const { spawn } = require('node:child_process');
const { createInterface } = require('node:readline');
const { join } = require('node:path');
const vscode = require('vscode');

const kernels = new Map(); // by the notebook's path

class Kernel {
  constructor(controller, notebook) {
    this.controller = controller;
    this.notebook = notebook;
    this.running = new Map(); // by cell
    this.process = spawn(process.env.CONTROLLER_PYTHON, [join(__dirname, 'kernel.py'), notebook.uri.fsPath], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.process.stdout }).on('line', line => this.hear(JSON.parse(line)));
  }

  cell(uri) {
    return this.notebook.getCells().find(cell => cell.document.uri.toString() === uri);
  }

  run(cell) {
    const execution = this.controller.createNotebookCellExecution(cell);
    const uri = cell.document.uri.toString();
    execution.start(Date.now());
    void execution.clearOutput();
    this.process.stdin.write(JSON.stringify({ cell: uri, code: cell.document.getText() }) + '\n');
    return new Promise(resolve => this.running.set(uri, { execution, resolve, clear: false }));
  }

  hear(said) {
    const running = this.running.get(said.cell);
    if (running) this.show(running, said);
    else if (this.cell(said.cell)) {
      // Late: an execution of its own, as the Jupyter extension makes one. To a moved cell there is no way.
      const execution = this.controller.createNotebookCellExecution(this.cell(said.cell));
      execution.start();
      this.late ??= new Map();
      const late = { execution, resolve: () => undefined, clear: this.late.get(said.cell) ?? false };
      this.show(late, said);
      this.late.set(said.cell, late.clear);
      if (said.event !== 'done') execution.end(undefined);
    }
  }

  show(running, said) {
    const { execution } = running;
    const add = output => {
      void (running.clear ? execution.replaceOutput([output]) : execution.appendOutput([output]));
      running.clear = false;
    };
    const text = (mime, value) => vscode.NotebookCellOutputItem.text(value, mime);
    if (said.event === 'count') execution.executionOrder = said.count;
    else if (said.event === 'clear') running.clear = true;
    else if (said.event === 'output') add(new vscode.NotebookCellOutput(Object.entries(said.data).map(([mime, value]) => text(mime, String(value)))));
    else if (said.event === 'error') add(new vscode.NotebookCellOutput([vscode.NotebookCellOutputItem.error({ name: said.name, message: said.message, stack: '' })]));
    else if (said.event === 'done') {
      execution.end(said.ok, Date.now());
      this.running.delete(said.cell);
      running.resolve();
    }
  }
}

/** What tests ask of this window: the notebook as VS Code's API has it, commands, and the extension's menus. */
const questions = {
  state: path => {
    const notebook = vscode.workspace.notebookDocuments.find(one => one.uri.fsPath === path);
    const typing = vscode.window.activeTextEditor;
    const text = item => Buffer.from(item.data).toString();
    return notebook && {
      dirty: notebook.isDirty,
      metadata: notebook.metadata,
      cells: notebook.getCells().map(cell => ({
        key: cell.document.uri.toString(), code: cell.document.getText(), kind: cell.kind,
        order: cell.executionSummary?.executionOrder ?? null, typing: cell.document === typing?.document,
        outputs: cell.outputs.flatMap(output => output.items.slice(0, 1).map(text)).join('')
      }))
    };
  },
  open: path => vscode.commands.executeCommand('vscode.openWith', vscode.Uri.file(path), 'jupyter-notebook').then(() => null),
  command: (name, ...words) => vscode.commands.executeCommand(name, ...words),
  run: async (path, ...places) => {
    const document = vscode.workspace.notebookDocuments.find(one => one.uri.fsPath === path).uri;
    if (!places.length) await vscode.commands.executeCommand('notebook.execute', document);
    else await vscode.commands.executeCommand('notebook.cell.execute', { ranges: places.map(start => ({ start, end: start + 1 })), document });
  },
  rename: (path, after) => {
    const edit = new vscode.WorkspaceEdit();
    edit.renameFile(vscode.Uri.file(path), vscode.Uri.file(after));
    return vscode.workspace.applyEdit(edit);
  },
  save: path => vscode.workspace.notebookDocuments.find(one => one.uri.fsPath === path).save(),
  moved: (path, from, to) => {
    const notebook = vscode.workspace.notebookDocuments.find(one => one.uri.fsPath === path);
    const { kind, document } = notebook.cellAt(from);
    const edit = new vscode.WorkspaceEdit();
    const cell = new vscode.NotebookCellData(kind, document.getText(), document.languageId);
    edit.set(notebook.uri, [vscode.NotebookEdit.deleteCells(new vscode.NotebookRange(from, from + 1)), vscode.NotebookEdit.insertCells(to, [cell])]);
    return vscode.workspace.applyEdit(edit);
  },
  diffs: () => vscode.window.tabGroups.all.flatMap(group => group.tabs).filter(tab => tab.input instanceof vscode.TabInputTextDiff).map(tab => tab.label)
};

function answer(folder) {
  const server = require('node:http').createServer((request, response) => {
    let body = '';
    request.on('data', data => (body += data));
    request.on('end', async () => {
      try {
        const [name, ...words] = JSON.parse(body);
        response.end(JSON.stringify((await questions[name](...words)) ?? null));
      } catch (error) {
        response.writeHead(500).end(String(error?.stack ?? error));
      }
    });
  });
  server.listen(0, '127.0.0.1', () => require('node:fs').appendFileSync(join(folder, 'windows'), `${server.address().port}\n`));
}

exports.activate = context => {
  answer(process.env.CONTROLLER_FOLDER);
  if (context.extension.id !== 'ms-toolsai.jupyter') return undefined; // the real one runs the cells
  const controller = vscode.notebooks.createNotebookController('tests', 'jupyter-notebook', 'marimo (tests)');
  controller.supportedLanguages = ['python'];
  controller.supportsExecutionOrder = true;
  let queue = Promise.resolve();
  controller.executeHandler = (cells, notebook) => {
    const path = notebook.uri.fsPath;
    if (!kernels.has(path)) kernels.set(path, new Kernel(controller, notebook));
    for (const cell of cells) queue = queue.then(() => kernels.get(path).run(cell));
    return queue;
  };
  for (const one of vscode.workspace.notebookDocuments) controller.updateNotebookAffinity(one, 2);
  vscode.workspace.onDidOpenNotebookDocument(one => controller.updateNotebookAffinity(one, 2));
  vscode.workspace.onWillRenameFiles(event => event.files.forEach(({ oldUri }) => {
    kernels.get(oldUri.fsPath)?.process.kill(); // as the Jupyter extension does
    kernels.delete(oldUri.fsPath);
  }));
  return { kernels: { getKernel: uri => kernels.get(uri.fsPath) } };
};

exports.deactivate = () => kernels.forEach(kernel => kernel.process.kill());
