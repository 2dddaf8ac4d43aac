/**
 * Whether this window has the kernel of a notebook. Other windows, and extension hosts of windows that are closed, may have
 * the same file open: only the one with the kernel speaks for it. The Jupyter extension's API tells, without asking anybody.
 */
import * as vscode from 'vscode';

interface Jupyter {
  kernels?: { getKernel(uri: vscode.Uri): Thenable<unknown> | unknown };
}

export async function hasKernel(notebook: vscode.NotebookDocument): Promise<boolean> {
  const jupyter = vscode.extensions.getExtension<Jupyter>('ms-toolsai.jupyter');
  if (!jupyter) return true; // another controller runs the cells, of which nothing can be known
  const { kernels } = await jupyter.activate();
  return kernels === undefined || Boolean(await kernels.getKernel(notebook.uri));
}
