import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DocumentChange } from '../../protocol';
import { type Cell, planned } from '../src/plan.js';
import { baseOf } from '../src/text.js';

const CELLS: Cell[] = ['a', 'b', 'c'].map(key => ({ key, type: 'code', code: `${key} = 1` }));
const insert = (token: string, after: string | null): DocumentChange => ({ kind: 'insert', token, after, type: 'code', code: token });
const change = (key: string, base = baseOf(`${key} = 1`)): DocumentChange => ({ kind: 'change', key, base, code: 'new' });
const remove = (key: string): DocumentChange => ({ kind: 'delete', key, base: baseOf(`${key} = 1`) });
const move = (key: string, after: string | null): DocumentChange => ({ kind: 'move', key, after });

/** Do the steps as a notebook does, and return the order that it has then. */
function arranged(changes: DocumentChange[], cells = CELLS): string {
  const keys = cells.map(cell => cell.key);
  for (const step of planned(cells, changes).steps) {
    if (step.kind === 'insert') keys.splice(step.at, 0, step.token);
    if (step.kind === 'delete') keys.splice(step.at, 1);
    if (step.kind === 'move') keys.splice(step.to, 0, ...keys.splice(step.from, 1));
  }
  return keys.join('');
}

test('cells go where the order says, each step seeing those before it', () => {
  assert.equal(arranged([insert('1', null)]), '1abc');
  assert.equal(arranged([insert('1', 'a'), insert('2', '1'), insert('3', 'c')]), 'a12bc3');
  assert.equal(arranged([move('a', 'c')]), 'bca');
  assert.equal(arranged([move('c', null)]), 'cab');
  assert.equal(arranged([move('a', 'b'), insert('1', 'a')]), 'ba1c');
  assert.equal(arranged([insert('1', 'c'), move('a', '1'), remove('b')]), 'c1a');
  assert.equal(arranged([move('b', 'a')]), 'abc');
});

test('one text that is another now keeps all changes from being made', () => {
  const plan = planned(CELLS, [insert('1', null), change('b', baseOf('b = 2')), change('c')]);
  assert.deepEqual(plan, { steps: [], conflicts: [{ key: 'b', code: 'b = 1' }], refused: '' });
});

test('cells that are gone are conflicts without a text, also as anchors', () => {
  const plan = planned(CELLS, [change('x'), insert('1', 'y'), move('a', 'z'), remove('b'), insert('2', 'b')]);
  assert.deepEqual(plan.steps, []);
  assert.deepEqual(plan.conflicts, [
    { key: 'x', code: null },
    { key: 'y', code: null },
    { key: 'z', code: null },
    { key: 'b', code: 'b = 1' }
  ]);
});

test('cells that the notebook protects are not changed', () => {
  const locked = [{ ...CELLS[0], editable: false }, { ...CELLS[1], deletable: false }];
  assert.equal(planned(locked, [change('a')]).refused, 'The cell a is not editable.');
  assert.equal(planned(locked, [remove('b')]).refused, 'The cell b is not deletable.');
  assert.deepEqual(planned(locked, [remove('a')]).steps, [{ kind: 'delete', at: 0 }]);
});
