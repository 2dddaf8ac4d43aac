/** The messages of a view, as protocol/views.py has them, and what the page's files share. For the type check alone. */

/** A number that JSON does not carry exactly, a nested value, a long text ... comes as its text and its kind. */
export type Cell = null | boolean | number | string | { t: string; k: string };

export interface Column {
  index: number;
  name: string;
  kind: string;
  dtype: string;
}

export interface SortKey {
  column: number;
  descending: boolean;
}

export type FilterValue = null | boolean | number | string | (boolean | number | string)[];

export interface Filter {
  column: number;
  op: string;
  value: FilterValue;
}

export interface ViewState {
  sort: SortKey[];
  filters: Filter[];
  search: string;
  hidden: number[];
  pinned: number[];
  widths: Record<string, number>;
  selected: number[];
  selected_count: number;
  selected_column: number | null;
  first_row: number;
  by: string;
}

export interface Description {
  view: string;
  title: string;
  source: string;
  kind: string;
  rows: number | null;
  columns: Column[];
  version: number;
  state: ViewState;
  matching: number | null;
  columns_total?: number;
  notes: string[];
  ended: string;
  progress?: { done: number | null; what: string };
}

export interface Statistics {
  column: number;
  rows: number;
  nulls: number;
  distinct?: number | null;
  distinct_exact?: boolean;
  min?: Cell;
  max?: Cell;
  mean?: Cell;
  sd?: Cell;
  median?: Cell;
  bins?: { low: Cell; high: Cell; count: number }[] | null;
  top?: [Cell, number][] | null;
  other?: number;
}

export interface ViewEvent {
  event: string;
  n?: number;
  state?: ViewState;
  view?: Description;
  ended?: string;
  done?: number | null;
  what?: string;
}

/** `open`; `lost`: it is tried again; `closed`: the view is no longer there; `gone`: the server is not. */
export type Connection = "open" | "lost" | "closed" | "gone";

/** How requests reach the view: the socket of a tab, or the host of an MCP App. */
export interface Carrier {
  /** Ask for something; the answer, or an `Error` whose `name` is the code. */
  ask(request: { do: string; [field: string]: unknown }): Promise<any>;
  onEvent: (event: ViewEvent) => void;
  onConnection: (connection: Connection) => void;
  /** Tell the model what the person looks at. */
  tell(text: string): void;
  /** Give the person the file of an export. */
  save(answer: { url?: string; text?: string }, name: string, mime: string): Promise<void>;
  retry(): void;
  /** Ask the host for the whole window; undefined where there is none. */
  expand?: () => void;
}
