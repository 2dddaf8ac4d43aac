import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { baseOf, edit } from '../src/text.js';

function edited(old: string, text: string): string {
  const { from, to, insert } = edit(old, text);
  return old.slice(0, from) + insert + old.slice(to);
}

test('an edit leaves the equal beginning and end alone', () => {
  assert.deepEqual(edit('a = 1\nb', 'a = 27\nb'), { from: 4, to: 5, insert: '27' });
  assert.deepEqual(edit('same', 'same'), { from: 4, to: 4, insert: '' });
  assert.deepEqual(edit('aa', 'aaa'), { from: 2, to: 2, insert: 'a' });
});

test('an edit makes the new text of the old one, and never cuts a character in two', () => {
  const texts = ['', 'a', 'aa', 'aba', '😀', '😁', 'x😀y', 'x😁y', '\u{10000}', '\u{10400}', '😀😀', 'z\u{1F600}\u{1F604}'];
  for (const old of texts) {
    for (const text of texts) {
      assert.equal(edited(old, text), text);
      assert.ok(edit(old, text).insert.isWellFormed(), `${old} ${text}`);
      assert.ok(old.slice(0, edit(old, text).from).isWellFormed());
    }
  }
});

test('the base of a text is the beginning of its SHA-256', () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000]) {
    const text = 'é😀x'.repeat(length).slice(0, length).toWellFormed();
    assert.equal(baseOf(text), createHash('sha256').update(text).digest('hex').slice(0, 16), `length ${length}`);
  }
});
