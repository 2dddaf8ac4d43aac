/** Keeps a proposal fitting while the person goes on typing in the cell that it would change. */
import { diff } from '@codemirror/merge';
import { ChangeSet, Text } from '@codemirror/state';
import { edit } from './text.js';

export interface Followed {
  /** What the diff is shown against: the person's text, with the parts of the proposal that are accepted. */
  original: ChangeSet;
  proposed: ChangeSet;
}

/** Return how the two texts of a proposal change with the person's text, from `live` to `now`: what is typed stays in both. */
export function followed(live: string, now: string, original: string, proposed: string): Followed {
  const typed = ChangeSet.of(edit(live, now), live.length);
  return { original: typed.map(between(live, original)), proposed: typed.map(between(live, proposed)) };
}

function between(old: string, text: string): ChangeSet {
  const changes = diff(old, text).map(({ fromA, toA, fromB, toB }) => ({ from: fromA, to: toA, insert: text.slice(fromB, toB) }));
  return ChangeSet.of(changes, old.length);
}

/** Return a text with changes made to it. */
export function changed(text: string, changes: ChangeSet): string {
  return changes.apply(Text.of(text.split('\n'))).toString();
}
