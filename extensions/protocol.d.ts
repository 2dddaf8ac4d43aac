/** The messages between kernel and front ends, as in protocol/document.py. Written by `make document-types`. */

export interface AgentAction {
  at: number;
  what: string;
}

export interface AgentInfo {
  name: string;
  last_heard: number;
  runs: number;
  refused: number;
  told: string;
  actions: AgentAction[];
}

export interface AgentsOrder {
  kind: 'agents';
  agents: AgentInfo[];
  paused: boolean;
  to: string | null;
  protocol: number;
}

export interface Apply {
  kind: 'apply';
  op_id: string;
  author: string;
  changes: (ChangeText | Insert | Delete | Move)[];
  run: boolean;
  to: string | null;
  protocol: number;
}

export interface Attach {
  op: 'attach';
  front_end: string;
  version: string;
  path: string;
  cells: DocumentCell[];
  shared_id?: string | null;
  focused?: boolean;
  dirty?: boolean;
  editing?: string | null;
  can?: ('apply' | 'propose' | 'run' | 'save' | 'rename' | 'settings')[];
  client: string;
  protocol?: number;
}

export interface Attached {
  op: 'attached';
  agents: AgentInfo[];
  paused: boolean;
  mode: 'autorun' | 'lazy';
  parents: Record<string, string>;
  open: Propose[];
  cells: Record<string, CellState>;
  live: string;
}

export interface CellSettings {
  name?: string;
  hide_code?: boolean;
  expand_output?: boolean;
  column?: number | null;
}

export interface CellState {
  cell_id: string | null;
  status: 'new' | 'queued' | 'running' | 'ok' | 'error' | 'refused' | 'cancelled' | 'interrupted' | 'superseded';
  stale: boolean;
  changed: boolean;
  edited_by: string | null;
  defines: string[];
  upstream: string[];
}

export interface ChangeText {
  kind: 'change';
  key: string;
  base: string;
  code: string;
}

export interface Changed {
  op: 'changed';
  revision: number;
  order?: string[] | null;
  cells?: DocumentCell[];
  dirty?: boolean;
  focused?: boolean;
  editing?: string | null;
  path?: string | null;
  client: string;
  protocol?: number;
}

export interface Compare {
  op: 'compare';
  client: string;
  protocol?: number;
}

export interface Compared {
  op: 'compared';
  changed: string[];
  never_run: string[];
  stale: string[];
  failed: string[];
  kernel_only: string[];
  to_run: string[];
}

export interface Conflict {
  key: string;
  code: string | null;
}

export interface Decided {
  op: 'decided';
  op_id: string;
  change: number;
  decision: 'accepted' | 'rejected' | 'gone';
  rest: number;
  code?: string | null;
  key?: string | null;
  runs?: RunOf[];
  client: string;
  protocol?: number;
}

export interface Delete {
  kind: 'delete';
  key: string;
  base: string;
}

export interface Detach {
  op: 'detach';
  client: string;
  protocol?: number;
}

export interface DocumentCell {
  key: string;
  type: 'code' | 'markdown' | 'raw';
  code: string;
  by?: string | null;
  was?: string | null;
  settings?: CellSettings | null;
}

export interface Done {
  op: 'done';
  op_id: string;
  result: 'applied' | 'conflict' | 'refused';
  conflicts?: Conflict[];
  added?: Record<string, string>;
  runs?: RunOf[];
  message?: string;
  client: string;
  protocol?: number;
}

export interface Insert {
  kind: 'insert';
  token: string;
  after: string | null;
  type: 'code' | 'markdown' | 'raw';
  code: string;
}

export interface Move {
  kind: 'move';
  key: string;
  after: string | null;
}

export interface Noted {
  op: 'noted';
  attach: boolean;
  paused: boolean | null;
  over: boolean;
}

export interface Outputs {
  kind: 'outputs';
  cells: Record<string, ShownOutputs>;
  to: string | null;
  protocol: number;
}

export interface Pause {
  op: 'pause';
  paused: boolean;
  client: string;
  protocol?: number;
}

export interface Propose {
  kind: 'propose';
  op_id: string;
  author: string;
  changes: (ChangeText | Insert | Delete | Move)[];
  note: string;
  kept: boolean;
  conflict: boolean;
  decided: number[];
  to: string | null;
  protocol: number;
}

export interface Rename {
  kind: 'rename';
  op_id: string;
  name: string;
  to: string | null;
  protocol: number;
}

export interface Run {
  kind: 'run';
  op_id: string;
  author: string;
  keys: string[];
  to: string | null;
  protocol: number;
}

export interface RunOf {
  key: string;
  msg_id?: string | null;
}

export interface Save {
  kind: 'save';
  op_id: string;
  to: string | null;
  protocol: number;
}

export interface Settings {
  kind: 'settings';
  cells: Record<string, CellSettings>;
  to: string | null;
  protocol: number;
}

export interface ShownOutputs {
  outputs: Record<string, unknown>[];
  execution_count: number | null;
}

export interface State {
  kind: 'state';
  cells: Record<string, CellState>;
  to: string | null;
  protocol: number;
}

export interface Undo {
  op: 'undo';
  op_id: string;
  client: string;
  protocol?: number;
}

export interface Who {
  kind: 'who';
  to: string | null;
  protocol: number;
}

export interface Withdraw {
  kind: 'withdraw';
  op_id: string;
  to: string | null;
  protocol: number;
}

export type FrontEndRequest = Attach | Changed | Done | Decided | Undo | Pause | Compare | Detach;

export type Reply = Attached | Noted | Compared;

export type DocumentChange = ChangeText | Insert | Delete | Move;

export type Order = Apply | Run | Propose | Withdraw | AgentsOrder | State | Who | Save | Rename | Outputs | Settings;
