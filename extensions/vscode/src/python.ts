/** The Python that has marimo-kernel-bridge: the setting, else the one that ran `marimo-kernel-bridge vscode --install`. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Jupyter's folder of data, as jupyter_core finds it. */
export function jupyterDataFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform, home: string): string {
  if (env['JUPYTER_DATA_DIR']) return env['JUPYTER_DATA_DIR'];
  if (platform === 'darwin') return join(home, 'Library', 'Jupyter');
  if (platform === 'win32') return join(env['APPDATA'] || join(home, 'AppData', 'Roaming'), 'jupyter');
  return join(env['XDG_DATA_HOME'] || join(home, '.local', 'share'), 'jupyter');
}

/** `setting` is of the machine: a workspace cannot choose the program that is run. */
export function chosenPython(setting: string, folder = jupyterDataFolder(process.env, process.platform, homedir())): string {
  if (setting) return setting;
  try {
    const recorded: unknown = JSON.parse(readFileSync(join(folder, 'marimo-kernel-bridge', 'vscode.json'), 'utf8'));
    if (typeof recorded === 'object' && recorded !== null && 'python' in recorded && typeof recorded.python === 'string')
      return recorded.python;
  } catch {
    // not recorded
  }
  return process.platform === 'win32' ? 'python' : 'python3';
}
