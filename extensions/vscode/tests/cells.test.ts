import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DocumentChange } from '../../protocol';
import { type Cell, planned } from '../src/cells';
import { baseOf } from '../src/texts';
import { FakeEditor } from './fake_kernel';

const cells = (): Cell[] => ['a', 'b', 'c'].map(key => ({ key, type: 'code', code: key }));
const insert = (token: string, after: string | null): DocumentChange => ({ kind: 'insert', token, after, type: 'code', code: token });
const remove = (key: string): DocumentChange => ({ kind: 'delete', key, base: baseOf(key) });
const move = (key: string, after: string | null): DocumentChange => ({ kind: 'move', key, after });

/** The texts of the cells after these changes. */
async function after(...changes: DocumentChange[]): Promise<string> {
  const editor = new FakeEditor(cells());
  const plan = planned(editor.cells(), changes);
  assert.ok(!Array.isArray(plan));
  await editor.restructure(plan.structure);
  const texts = editor.cells().map(cell => cell.code);
  for (const { token, at } of plan.places) assert.equal(texts[at], token);
  return texts.join(' ');
}

test('insertions, deletions and moves come out in the order that was asked for', async () => {
  assert.equal(await after(insert('x', null)), 'x a b c');
  assert.equal(await after(insert('x', 'a'), insert('y', 'x')), 'a x y b c');
  assert.equal(await after(insert('x', 'c'), insert('y', 'c')), 'a b c y x');
  assert.equal(await after(insert('x', 'a'), remove('b')), 'a x c');
  assert.equal(await after(remove('a'), insert('x', null)), 'x b c');
  assert.equal(await after(insert('x', 'b'), remove('b')), 'a x c');
  assert.equal(await after(remove('a'), remove('b'), remove('c'), insert('x', null)), 'x');
  assert.equal(await after(move('a', 'c')), 'b c a');
  assert.equal(await after(move('c', null)), 'c a b');
  assert.equal(await after(move('b', 'a')), 'a b c');
  assert.equal(await after(move('c', 'a'), insert('x', 'c')), 'a c x b');
  assert.equal(await after(move('a', 'b'), remove('b')), 'a c');
});

test('a cell that stays where it is is not touched', () => {
  const plan = planned(cells(), [move('b', 'a')]);
  assert.deepEqual(plan, { texts: new Map(), structure: [], places: [] });
});

test('a cell that is changed and moved comes with its new text', () => {
  const plan = planned(cells(), [{ kind: 'change', key: 'a', base: baseOf('a'), code: 'A' }, move('a', 'c')]);
  assert.ok(!Array.isArray(plan));
  assert.equal(plan.texts.size, 0);
  assert.deepEqual(plan.structure.at(-1), { kind: 'insert', at: 3, cells: [{ token: 'a', type: 'code', code: 'A', moved: 'a' }] });
});

test('nothing is planned if one change does not fit', () => {
  assert.deepEqual(planned(cells(), [insert('x', 'a'), { kind: 'change', key: 'b', base: baseOf('old'), code: 'B' }]), [{ key: 'b', code: 'b' }]);
  assert.deepEqual(planned(cells(), [insert('x', 'gone')]), [{ key: 'gone', code: null }]);
  assert.deepEqual(planned(cells(), [remove('gone')]), [{ key: 'gone', code: null }]);
  assert.deepEqual(planned(cells(), [move('a', 'gone')]), [{ key: 'gone', code: null }]);
});
