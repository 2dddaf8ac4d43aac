/** Names and paths of Python environments. Pure. */
import { createHash } from 'node:crypto';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';

export interface Environment {
  path: string;
  name: string;
}

const COMMON = new Set(['.venv', 'venv', 'env', '.env']);

/** The kernelspec of an environment: its name is the same each time, and another for each path. */
export function kernelspecFor(path: string): { name: string; displayName: string } {
  const own = basename(path);
  const shown = COMMON.has(own) ? `${basename(dirname(path))}/${own}` : own;
  const digest = createHash('sha256').update(path).digest('hex').slice(0, 6);
  const slug = shown.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '') || 'env';
  return { name: `marimo-${slug}-${digest}`, displayName: `marimo (${shown})` };
}

export function programOf(environment: string, platform: NodeJS.Platform): string {
  return platform === 'win32' ? join(environment, 'Scripts', 'python.exe') : join(environment, 'bin', 'python');
}

/** The environment of a program in it. */
export function within(program: string): string {
  const folder = dirname(program);
  return ['bin', 'Scripts'].includes(basename(folder)) ? dirname(folder) : folder;
}

/** The path as the notebook keeps it: relative to its folder where it is beside or below, so that a checkout elsewhere works. */
export function relativeTo(folder: string, path: string): string {
  const short = relative(folder, path);
  const climbs = short.split(sep).filter(part => part === '..').length;
  const together = climbs < folder.split(sep).filter(Boolean).length; // they share more than the root
  return isAbsolute(short) || !together ? path : short.split(sep).join('/');
}
