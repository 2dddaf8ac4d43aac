/** What marimo keeps of a cell beside its code, in the cell's metadata: `marimo` as its importers read it, and `jupyter` for hidden code. */
import type { CellSettings } from '../../protocol';

type Json = Record<string, unknown>;
export type Metadata = { marimo?: unknown; jupyter?: unknown };
export const KEYS = ['marimo', 'jupyter'] as const;

const object = (value: unknown): Json => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {});

/** Return a cell's settings; null if all have their defaults. */
export function settingsOf({ marimo, jupyter }: Metadata): CellSettings | null {
  const { name, config } = object(marimo);
  const { hide_code, expand_output, column } = object(config);
  const settings: CellSettings = {
    name: typeof name === 'string' ? name.slice(0, 1_000) : '',
    hide_code: hide_code === true || (marimo === undefined && object(jupyter).source_hidden === true),
    expand_output: expand_output === true,
    column: Number.isSafeInteger(column) ? (column as number) : null
  };
  return settings.name || settings.hide_code || settings.expand_output || settings.column !== null ? settings : null;
}

/** Return the metadata of a cell with other settings. What else is there stays; what is empty then is undefined. */
export function withSettings({ marimo, jupyter }: Metadata, settings: CellSettings, isCode: boolean): Metadata {
  const config = without(object(object(marimo).config), 'hide_code', 'expand_output', 'column');
  if (settings.hide_code) config.hide_code = true;
  if (settings.expand_output) config.expand_output = true;
  if (typeof settings.column === 'number') config.column = settings.column;
  const own = without(object(marimo), 'name', 'config');
  if (Object.keys(config).length) own.config = config;
  if (settings.name) own.name = settings.name;
  const view = isCode ? without(object(jupyter), 'source_hidden') : { ...object(jupyter) };
  if (isCode && settings.hide_code) view.source_hidden = true;
  return { marimo: filled(own), jupyter: filled(view) };
}

function without(value: Json, ...names: string[]): Json {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
}

function filled(value: Json): Json | undefined {
  return Object.keys(value).length ? value : undefined;
}
