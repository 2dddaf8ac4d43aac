import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changed, followed } from '../src/rebase.js';

/** What is proposed after the person changed `live` to `now`. */
function proposed(live: string, now: string, text: string): string {
  return changed(text, followed(live, now, live, text).proposed);
}

test('what the person types beside the proposed change stays in the proposal', () => {
  assert.equal(proposed('a = 1\nb = 2', 'a = 1\nb = 2  # two', 'a = 7\nb = 2'), 'a = 7\nb = 2  # two');
  assert.equal(proposed('a = 1', '# mine\na = 1', 'a = 1\nc = 3'), '# mine\na = 1\nc = 3');
  assert.equal(proposed('', 'x', ''), 'x');
});

test('what the person deletes is not proposed again', () => {
  assert.equal(proposed('a\nb\nc', 'a\nc', 'a\nb\nc\nd'), 'a\nc\nd');
});

test('parts that are accepted already stay accepted', () => {
  const { original } = followed('a = 1\nb = 2', 'a = 1\nb = 22', 'a = 7\nb = 2', 'a = 7\nb = 3');
  assert.equal(changed('a = 7\nb = 2', original), 'a = 7\nb = 22');
});
