/** The item in the window's status bar: which agents are attached to the notebook's kernel. A click pauses them. */
import * as vscode from 'vscode';
import type { AgentInfo } from '../../protocol';
import type { Notebooks } from './notebooks';
import { asLabel } from './texts';

export class AgentsItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('marimoKernelBridge.agents', vscode.StatusBarAlignment.Left, 0);
  private readonly listening: vscode.Disposable;
  private readonly contexts = new Map<string, boolean>();

  constructor(private readonly notebooks: Notebooks) {
    this.item.name = 'Agents on the marimo kernel';
    this.item.command = 'marimoKernelBridge.togglePause';
    this.listening = notebooks.onRedraw(() => this.draw());
  }

  dispose(): void {
    this.listening.dispose();
    this.item.dispose();
  }

  private draw(): void {
    const session = this.notebooks.active?.session;
    this.setContext('attached', session?.attached ?? false);
    this.setContext('proposals', (session?.proposals.all.length ?? 0) > 0);
    this.setContext('differs', [...(session?.states.values() ?? [])].some(state => state.changed || state.stale));
    if (!session?.attached || !(session.agents.length || session.paused)) {
      this.item.hide();
      return;
    }
    const names = session.agents.map(agent => asLabel(agent.name)).join(', ') || 'agents';
    this.item.text = session.paused ? `$(debug-pause) ${names} (paused)` : `$(sparkle) ${names}`;
    const hint = session.paused
      ? 'Agents can only read. Click to let them work again.'
      : 'Agents that are attached to the kernel of this notebook. Click to pause them.';
    this.item.tooltip = [hint, ...session.agents.flatMap(activity)].join('\n');
    this.item.backgroundColor = session.paused ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
    this.item.show();
  }

  /** Tells VS Code what menus depend on, if it has changed: this is drawn at each key. */
  private setContext(name: string, value: boolean): void {
    if (this.contexts.get(name) === value) return;
    this.contexts.set(name, value);
    void vscode.commands.executeCommand('setContext', `marimoKernelBridge.${name}`, value);
  }
}

/** What an agent cost, and below it what it did last. */
function activity(agent: AgentInfo): string[] {
  const actions = (agent.actions ?? []).map(({ at, what }) => `  ${new Date(at * 1000).toLocaleTimeString()} ${what}`);
  return [`${agent.name}: ${agent.told ?? ''}`, ...actions];
}
