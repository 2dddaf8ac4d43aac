/** What a session needs of the editor in which its document is open. */
import type { Cell, Structure } from './cells';
import type { Attention } from './told';

export interface Editor {
  readonly path: string;
  readonly writable: boolean;
  cells(): Cell[];
  attention(): Attention;
  /** Returns when the person has paused typing, or after some seconds. */
  pauseOfTyping(): Promise<void>;
  /** Replaces texts by key as one step of undo; false if the document has changed meanwhile. */
  setTexts(texts: ReadonlyMap<string, string>): Promise<boolean>;
  /** Inserts and deletes cells as one step of undo, and keeps the person's focus. */
  restructure(structure: readonly Structure[]): Promise<boolean>;
  /** Runs cells as if the person did. */
  run(keys: readonly string[]): void;
  save(): Promise<boolean>;
  /** Draws what this session says of cells and agents anew. */
  redraw(): void;
  /** Tells the person something, as text. */
  say(text: string): void;
}
