import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asLabel, baseOf, lineDiff, replacement, sizeOf } from '../src/texts';

function applied(before: string, after: string): string {
  const { start, end, text } = replacement(before, after);
  const lines = before.split('\n');
  const offset = ({ line, character }: typeof start): number => lines.slice(0, line).join('\n').length + (line ? 1 : 0) + character;
  return before.slice(0, offset(start)) + text + before.slice(offset(end));
}

test('the base of a text is that of the kernel', () => {
  assert.equal(baseOf('a = 1\né'), '11cd2d9ed819f33e');
});

test('a replacement makes one text of another and touches only what differs', () => {
  for (const [before, after] of [['', 'a'], ['a', ''], ['a\nb\nc', 'a\nB\nc'], ['aa', 'a'], ['x = 1', 'x = 1\ny'], ['😀', '😁'], ['a😀', 'b😀']] as const)
    assert.equal(applied(before, after), after);
  assert.deepEqual(replacement('a\nbcd\ne', 'a\nbXd\ne'), { start: { line: 1, character: 1 }, end: { line: 1, character: 2 }, text: 'X' });
});

test('a pair of surrogates is replaced as a whole', () => {
  assert.equal(replacement('😀', '😁').text, '😁');
});

test('a diff has every line once, and its size', () => {
  assert.deepEqual(lineDiff('a\nb\nc', 'a\nx\ny\nc'), [' a', '-b', '+x', '+y', ' c']);
  assert.equal(sizeOf(lineDiff('a\nb\nc', 'a\nx\ny\nc')), '+2 −1');
  assert.deepEqual(lineDiff('', 'a'), ['+a']);
  assert.deepEqual(lineDiff('a', ''), ['-a']);
});

test('a diff of long texts takes no time that grows with their product', () => {
  const long = (word: string): string => Array.from({ length: 20_000 }, (_, n) => `${word}${n}`).join('\n');
  assert.equal(sizeOf(lineDiff(long('a'), long('b'))), '+20000 −20000');
});

test('a name is no icon', () => {
  assert.equal(asLabel('$(bug) x\ny'), '$\u200b(bug) x y');
});
