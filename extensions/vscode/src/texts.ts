/** Texts of cells, and their differences. Pure. Line ends are `\n`, as the kernel has them. */
import { createHash } from 'node:crypto';

/** The `base` of the document protocol. */
export function baseOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 16);
}

export const withLineFeeds = (text: string): string => text.replaceAll('\r\n', '\n');

export interface Place {
  line: number;
  character: number;
}

export interface Replacement {
  start: Place;
  end: Place;
  text: string;
}

/** The smallest replacement that makes one text of another, so that cursors and outputs elsewhere in it stay. */
export function replacement(before: string, after: string): Replacement {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  let end = 0;
  while (end < most - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  // A pair of surrogates is one character.
  if (start > 0 && isHigh(before.charCodeAt(start - 1))) start--;
  if (end > 0 && isLow(before.charCodeAt(before.length - end))) end--;
  return {
    start: placeAt(before, start),
    end: placeAt(before, before.length - end),
    text: after.slice(start, after.length - end)
  };
}

function placeAt(text: string, offset: number): Place {
  const lines = text.slice(0, offset).split('\n');
  return { line: lines.length - 1, character: lines[lines.length - 1]!.length };
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000;

const MOST_COMPARED = 2_000;

/** The lines of both texts, each with ` `, `-` or `+` before it. Long texts are compared as a whole. */
export function lineDiff(before: string, after: string): string[] {
  const a = before === '' ? [] : before.split('\n');
  const b = after === '' ? [] : after.split('\n');
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let same = 0;
  while (same < a.length - start && same < b.length - start && a[a.length - 1 - same] === b[b.length - 1 - same]) same++;
  return [
    ...a.slice(0, start).map(line => ` ${line}`),
    ...middleDiff(a.slice(start, a.length - same), b.slice(start, b.length - same)),
    ...a.slice(a.length - same).map(line => ` ${line}`)
  ];
}

function middleDiff(a: string[], b: string[]): string[] {
  if (a.length + b.length > MOST_COMPARED) return [...a.map(line => `-${line}`), ...b.map(line => `+${line}`)];
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width); // the longest common sequence of what follows
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i * width + j] =
        a[i] === b[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(` ${a[i]}`);
      i++;
      j++;
    } else if (i < a.length && (j === b.length || common[(i + 1) * width + j]! >= common[i * width + j + 1]!))
      lines.push(`-${a[i++]}`);
    else lines.push(`+${b[j++]}`);
  }
  return lines;
}

/** `+3 −2`: how many lines a diff adds and removes. */
export function sizeOf(diff: string[]): string {
  const count = (sign: string): number => diff.filter(line => line.startsWith(sign)).length;
  return `+${count('+')} −${count('-')}`;
}

/** A name as text in a label, where VS Code draws `$(name)` as an icon. */
export const asLabel = (name: string): string => name.replaceAll('$(', '$\u200b(').replace(/\s+/g, ' ');
