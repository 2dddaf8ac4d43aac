/**
 * The Python environment of a notebook's kernel: a picker, and where the choice is kept: in the notebook's metadata, as the
 * kernelspec's name and, for other machines, the environment's path. Nothing that a notebook names is run by opening it.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { type Environment, kernelspecFor, programOf, relativeTo, within } from './environment_names';
import { asLabel } from './texts';

interface PythonExtension {
  environments?: { known?: { path: string; executable?: { uri?: vscode.Uri } }[] };
}

const BOUND = 60_000;

export async function selectEnvironment(bridge: string, log: vscode.LogOutputChannel): Promise<void> {
  const notebook = vscode.window.activeNotebookEditor?.notebook;
  if (!notebook) return;
  const current = chosenIn(notebook);
  const found = await environments(notebook.uri);
  const other = { label: '$(folder-opened) Another one…', description: '', environment: undefined };
  const picks = found.map(environment => ({
    label: asLabel(environment.name),
    description: environment.path === current ? `${environment.path}, the present one` : environment.path,
    environment
  }));
  const title = "The Python environment of this notebook's kernel";
  const picked = await vscode.window.showQuickPick([...picks, other], { title, matchOnDescription: true });
  const environment = picked && (picked.environment ?? (await askForOne()));
  if (!environment) return;
  const { name, displayName } = kernelspecFor(environment.path);
  const install = ['-P', '-m', 'marimo_kernel_bridge', 'install', '--user', '--name', name, '--display-name', displayName];
  try {
    log.info(await run(programOf(environment.path, process.platform), install));
  } catch (error) {
    log.error(String(error));
    await offerToInstall(environment.path, bridge);
    return;
  }
  await keep(notebook, environment.path, { name, display_name: displayName, language: 'python' });
  const select = 'Select kernel…';
  const answer = await vscode.window.showInformationMessage(`The kernel "${displayName}" is installed, and the notebook names it.`, select);
  if (answer === select) await vscode.commands.executeCommand('notebook.selectKernel');
}

async function environments(notebook: vscode.Uri): Promise<Environment[]> {
  const folders = [vscode.Uri.joinPath(notebook, '..'), ...(vscode.workspace.workspaceFolders ?? []).map(one => one.uri)];
  const below = folders.flatMap(({ fsPath }) => subfolders(fsPath)).filter(isEnvironment);
  const python = vscode.extensions.getExtension<PythonExtension>('ms-python.python');
  const known = python ? ((await python.activate()).environments?.known ?? []) : [];
  const named = known.map(one => within(one.executable?.uri?.fsPath ?? one.path)).filter(isEnvironment);
  return [...new Set([...below, ...named])].map(path => ({ path, name: kernelspecFor(path).displayName }));
}

const isEnvironment = (folder: string): boolean => existsSync(programOf(folder, process.platform));

function subfolders(folder: string): string[] {
  try {
    return readdirSync(folder).map(name => join(folder, name));
  } catch {
    return [];
  }
}

async function askForOne(): Promise<Environment | undefined> {
  const [picked] = (await vscode.window.showOpenDialog({
    canSelectFiles: false, canSelectFolders: true, openLabel: 'Select', title: 'The folder of a virtual or conda environment'
  })) ?? [];
  if (!picked) return undefined;
  if (isEnvironment(picked.fsPath)) return { path: picked.fsPath, name: picked.fsPath };
  void vscode.window.showWarningMessage('There is no Python in that folder.');
  return undefined;
}

/** A new notebook is changed by this and not saved: it is the person's. */
async function keep(notebook: vscode.NotebookDocument, path: string, kernelspec: object): Promise<void> {
  const before = notebook.metadata as { metadata?: Record<string, unknown> };
  const ours = (before.metadata?.['marimo_kernel_bridge'] ?? {}) as object;
  const environment = relativeTo(vscode.Uri.joinPath(notebook.uri, '..').fsPath, path);
  const metadata = { ...before.metadata, kernelspec, marimo_kernel_bridge: { ...ours, environment } };
  const edit = new vscode.WorkspaceEdit();
  edit.set(notebook.uri, [vscode.NotebookEdit.updateNotebookMetadata({ ...before, metadata })]);
  await vscode.workspace.applyEdit(edit);
}

function chosenIn(notebook: vscode.NotebookDocument): string | undefined {
  const { metadata } = notebook.metadata as { metadata?: { marimo_kernel_bridge?: { environment?: unknown } } };
  const environment = metadata?.marimo_kernel_bridge?.environment;
  return typeof environment === 'string' ? vscode.Uri.joinPath(notebook.uri, '..', environment).fsPath : undefined;
}

async function offerToInstall(environment: string, bridge: string): Promise<void> {
  const program = programOf(environment, process.platform);
  const copy = 'Copy the command';
  const text = `marimo-kernel-bridge is not installed in ${environment}. Install the version that ${bridge} has.`;
  if ((await vscode.window.showWarningMessage(text, copy)) !== copy) return;
  await vscode.env.clipboard.writeText(`"${program}" -m pip install marimo-kernel-bridge`);
}

function run(program: string, words: string[]): Promise<string> {
  return new Promise((resolve, reject) =>
    execFile(program, words, { timeout: BOUND, cwd: process.env['HOME'] }, (error, out, problem) =>
      error ? reject(new Error(`${error.message}\n${problem}`)) : resolve(out.trim())
    )
  );
}
