/** The buttons in a notebook's toolbar: who is attached, with one click to pause them, and a sync where page and kernel differ. */
import { Widget } from '@lumino/widgets';
import type { AgentInfo } from '../../protocol';
import { button } from './dom.js';

export interface Actions {
  pause(paused: boolean): void;
  sync(): void;
}

export class ToolbarItem extends Widget {
  private paused = false;
  private readonly agents: HTMLButtonElement;
  private readonly sync: HTMLButtonElement;

  constructor(actions: Actions) {
    super();
    this.addClass('mkb-Toolbar');
    this.agents = button('', '', 'mkb-Chip', () => actions.pause(!this.paused));
    this.sync = button('Sync', '', 'mkb-Sync', () => actions.sync());
    this.node.append(this.agents, this.sync);
    this.showAgents([], false);
    this.showDifferent(0);
  }

  showAgents(agents: readonly AgentInfo[], paused: boolean): void {
    this.paused = paused;
    const names = agents.map(agent => agent.name).join(', ');
    const text = paused ? `‖ ${names || 'agents'} paused` : `● ${names}`;
    const label = paused ? `Let ${names || 'agents'} change this notebook again` : `Pause ${names}: agents then only read`;
    this.agents.textContent = text;
    this.agents.title = [label, ...agents.flatMap(activity)].join('\n');
    this.agents.setAttribute('aria-label', label);
    this.agents.setAttribute('aria-pressed', String(paused));
    this.agents.hidden = !agents.length && !paused;
  }

  /** Show how many cells are not what the kernel ran. */
  showDifferent(cells: number): void {
    const label = `Run the ${cells === 1 ? 'cell' : `${cells} cells`} in which this page and the kernel differ`;
    this.sync.title = label;
    this.sync.setAttribute('aria-label', label);
    this.sync.textContent = `Sync ${cells}`;
    this.sync.hidden = cells === 0;
  }
}

/** Return what an agent cost, and below it what it did last. */
function activity(agent: AgentInfo): string[] {
  const actions = (agent.actions ?? []).map(({ at, what }) => `  ${new Date(at * 1000).toLocaleTimeString()} ${what}`);
  return [`${agent.name}: ${agent.told ?? ''}`, ...actions];
}
