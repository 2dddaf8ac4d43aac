import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseOf } from '../src/texts';
import { apply, change, held, insert, order, propose, session } from './fake_kernel';

test('a change is told, then done, and only then its cells run', async () => {
  const { editor, kernel, session: one } = await session('a = 1', 'a + 1');
  const seen: string[] = [];
  const ask = kernel.ask.bind(kernel);
  kernel.ask = content => (seen.push(content.op), ask(content));
  editor.run = () => void seen.push('run');
  await one.take(apply('1', [change('a', 'a = 1', 'a = 2')]));
  assert.deepEqual(seen, ['changed', 'done', 'run']);
  assert.deepEqual(kernel.of('changed')[0]?.cells, [{ key: 'a', type: 'code', code: 'a = 2', by: 'claude' }]);
  assert.deepEqual(kernel.of('done')[0]?.runs, [{ key: 'a', msg_id: null }]);
});

test('an agent is the author until the person types', async () => {
  const { editor, session: one } = await session('a = 1');
  await one.take(apply('1', [change('a', 'a = 1', 'a = 2')]));
  assert.equal(one.authorOf(editor.cells()[0]!)?.author, 'claude');
  editor.list[0]!.code = 'a = 23';
  assert.equal(one.authorOf(editor.cells()[0]!), null);
});

test('new cells are reported by token, and those with code run', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  await one.take(apply('1', [insert('x', 'a'), { kind: 'insert', token: 'y', after: 'x', type: 'markdown', code: '# y' }]));
  assert.deepEqual(editor.list.map(cell => cell.code), ['a', 'x', '# y', 'b']);
  const { added } = kernel.of('done')[0]!;
  assert.deepEqual(editor.ran, [[added!['x']]]);
});

test('a moved cell keeps its author, and names the key that it had', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  await one.take(apply('1', [change('a', 'a', 'A')], false));
  await one.take(apply('2', [{ kind: 'move', key: 'a', after: 'b' }]));
  const moved = kernel.of('changed').at(-1)!.cells![0]!;
  assert.deepEqual({ ...moved, key: '' }, { key: '', type: 'code', code: 'A', by: 'claude', was: 'a' });
  assert.deepEqual(kernel.of('done').at(-1)!.added, { a: moved.key });
  assert.deepEqual(editor.ran, []);
});

test('an order is applied once, whole, and by the client that it is for', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  await one.take(apply('1', [change('a', 'a', 'A'), change('b', 'older', 'B')]));
  assert.deepEqual(kernel.of('done')[0]?.conflicts, [{ key: 'b', code: 'b' }]);
  assert.deepEqual(editor.list.map(cell => cell.code), ['a', 'b']);
  await one.take({ ...apply('2', [insert('x', null)]), to: 'somebody' });
  await one.take(apply('3', [insert('x', null)]));
  await one.take(apply('3', [insert('x', null)]));
  assert.deepEqual(editor.list.map(cell => cell.code), ['x', 'a', 'b']);
  assert.deepEqual(kernel.of('done')[2], kernel.of('done')[1]);
});

test('what the person types while an order waits is kept, and the order does not fit any more', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  editor.whileWaiting = () => void (editor.list[0]!.code = 'typed');
  await one.take(apply('1', [change('a', 'a', 'A'), insert('x', 'b')]));
  assert.deepEqual(kernel.of('done')[0]?.conflicts, [{ key: 'a', code: 'typed' }]);
  assert.deepEqual(editor.list.map(cell => cell.code), ['typed', 'b']);
});

test('a text that the editor refuses is a conflict with the present one', async () => {
  const { editor, kernel, session: one } = await session('a');
  editor.beforeTexts = () => ((editor.list[0]!.code = 'typed'), false);
  await one.take(apply('1', [change('a', 'a', 'A')]));
  assert.deepEqual(kernel.of('done')[0]?.conflicts, [{ key: 'a', code: 'typed' }]);
});

test('texts are put back if the cells cannot be changed', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  editor.restructure = () => Promise.resolve(false);
  await one.take(apply('1', [change('a', 'a', 'A'), insert('x', 'b')]));
  assert.equal(kernel.of('done')[0]?.result, 'conflict');
  assert.deepEqual(editor.list.map(cell => cell.code), ['a', 'b']);
  assert.deepEqual(editor.ran, []);
});

test('a read-only document refuses', async () => {
  const { editor, kernel, session: one } = await session('a');
  editor.writable = false;
  await one.take(apply('1', [change('a', 'a', 'A')]));
  assert.equal(kernel.of('done')[0]?.result, 'refused');
  assert.equal(editor.list[0]!.code, 'a');
});

test('a request is sent after the answer to the one before; a pause waits for none', async () => {
  const { editor, kernel, session: one } = await session('a');
  const answers = held(kernel);
  editor.list[0]!.code = 'b';
  void one.take(order({ kind: 'who' }));
  const compared = one.compare();
  await new Promise(setImmediate);
  const paused = one.pause(true);
  await new Promise(setImmediate);
  assert.deepEqual(answers.map(one => one.op), ['changed', 'pause']);
  answers[1]!.give({ status: 'ok', op: 'noted', attach: false, paused: true, over: false });
  await paused;
  assert.equal(one.paused, true);
  answers[0]!.give();
  await new Promise(setImmediate);
  assert.deepEqual(answers.map(one => one.op), ['changed', 'pause', 'compare']);
  answers[2]!.give();
  await compared;
});

test('who is answered at once, also while an order waits for a pause of typing', async () => {
  const { editor, kernel, session: one } = await session('a');
  editor.pauseOfTyping = () => new Promise(() => undefined);
  void one.take(apply('1', [insert('x', null)]));
  editor.list[0]!.code = 'unsaved';
  await one.take(order({ kind: 'who' }));
  assert.deepEqual(kernel.of('changed')[0]?.cells, [{ key: 'a', type: 'code', code: 'unsaved', by: null }]);
  await one.take(order({ kind: 'who' }));
  assert.deepEqual(kernel.of('changed').map(one => one.revision), [1, 2]);
});

test('a proposal changes nothing before it is accepted, and is decided change by change', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  await one.take(propose('p', [change('a', 'a', 'A'), { kind: 'delete', key: 'b', base: baseOf('b') }, insert('x', 'b')]));
  assert.deepEqual(editor.list.map(cell => cell.code), ['a', 'b']);
  const [first, second, third] = one.proposals.all;
  editor.list[0]!.code = 'a # by the person';
  await one.decide([first!], true);
  await one.decide([second!], false);
  await one.decide([third!], true);
  assert.deepEqual(editor.list.map(cell => cell.code), ['A', 'b', 'x']);
  const key = editor.list[2]!.key;
  assert.deepEqual(
    kernel.of('decided').map(({ change, decision, rest, key, runs }) => [change, decision, rest, key, runs?.map(run => run.key)]),
    [[0, 'accepted', 2, null, ['a']], [1, 'rejected', 1, null, []], [2, 'accepted', 0, key, [key]]]
  );
  assert.deepEqual(editor.ran, [['a'], [key]]);
  assert.equal(one.authorOf(editor.cells()[0]!)?.author, 'claude');
});

test('what the person has edited in a proposal is accepted, and the kernel is told that text', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  await one.take(propose('p', [change('a', 'a', 'A'), insert('x', 'a'), { kind: 'delete', key: 'b', base: baseOf('b') }]));
  assert.deepEqual([0, 1, 2, 3].map(index => one.proposals.edit('p', index, `edited ${index}`)), [true, true, false, false]);
  await one.decide(one.proposals.all, true);
  assert.deepEqual(editor.list.map(cell => cell.code), ['edited 0', 'edited 1']);
  assert.deepEqual(kernel.of('decided').map(one => one.code), ['edited 0', 'edited 1', null]);
  assert.equal(one.proposals.editOf('p', 0), null);
});

test('accepting all applies a proposal as one change', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  await one.take(propose('p', [insert('x', 'a'), insert('y', 'x'), change('b', 'b', 'B'), { kind: 'delete', key: 'a', base: baseOf('a') }]));
  await one.decide(one.proposals.all, true);
  assert.deepEqual(editor.list.map(cell => cell.code), ['x', 'y', 'B']);
  assert.equal(editor.ran.length, 1);
  assert.deepEqual(kernel.of('decided').map(one => one.rest), [3, 2, 1, 0]);
  assert.deepEqual(one.proposals.all, []);
});

test('a new cell comes at the place of the one before it that was rejected', async () => {
  const { editor, session: one } = await session('a', 'b');
  await one.take(propose('p', [insert('x', 'a'), insert('y', 'x')]));
  const [x, y] = one.proposals.all;
  await one.decide([x!], false);
  await one.decide([y!], true);
  assert.deepEqual(editor.list.map(cell => cell.code), ['a', 'y', 'b']);
});

test('the proposal for a cell that is gone is withdrawn', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  await one.take(propose('p', [change('b', 'b', 'B')]));
  editor.list.pop();
  await one.take(order({ kind: 'who' }));
  assert.deepEqual(kernel.of('decided').map(one => one.decision), ['gone']);
  assert.deepEqual(one.proposals.all, []);
});

test('a proposal follows the cell that is moved', async () => {
  const { editor, session: one } = await session('a', 'b');
  await one.take(propose('p', [change('a', 'a', 'A')]));
  await one.take(apply('1', [{ kind: 'move', key: 'a', after: 'b' }]));
  await one.decide(one.proposals.all, true);
  assert.deepEqual(editor.list.map(cell => cell.code), ['b', 'A']);
});

test('what cannot be accepted now stays a proposal, and the person is told why', async () => {
  const { editor, kernel, session: one } = await session('a');
  await one.take(propose('p', [change('a', 'a', 'A')]));
  editor.writable = false;
  await one.decide(one.proposals.all, true);
  editor.writable = true;
  editor.beforeTexts = () => false; // the person types at that moment
  await one.decide(one.proposals.all, true);
  assert.match(editor.said.join(' '), /read-only.*changed meanwhile/);
  assert.deepEqual([one.proposals.all.length, kernel.of('decided')], [1, []]);
});

test('a proposal that is decided elsewhere or in part is shown as what is left of it', async () => {
  const { session: one } = await session('a', 'b');
  await one.take(propose('p', [change('a', 'a', 'A'), change('b', 'b', 'B')], { decided: [0] }));
  assert.deepEqual(one.proposals.all.map(one => one.index), [1]);
  await one.take(order({ kind: 'withdraw', op_id: 'p' }));
  assert.deepEqual(one.proposals.all, []);
});

test("the person's undo asks the kernel for the inverse, which has no author", async () => {
  const { editor, kernel, session: one } = await session('a');
  assert.equal(await one.undo(), null);
  await one.take(apply('1', [change('a', 'a', 'A')]));
  assert.equal(await one.undo(), 'claude');
  assert.deepEqual(kernel.of('undo').map(one => one.op_id), ['1']);
  await one.take(apply('2', [change('a', 'A', 'a')], true, 'notebook'));
  assert.equal(one.authorOf(editor.cells()[0]!), null);
  assert.equal(await one.undo(), null);
});

test('sync runs what the kernel says, each cell once', async () => {
  const { editor, kernel, session: one } = await session('a', 'b');
  const compared = { changed: ['a'], never_run: [], stale: [], failed: [], kernel_only: [], to_run: ['a'] };
  kernel.answers.set('compare', { status: 'ok', op: 'compared', ...compared });
  assert.equal(await one.sync(), 1);
  assert.deepEqual(editor.ran, [['a']]);
});

test('cells run for the kernel if all of them are there', async () => {
  const { editor, kernel, session: one } = await session('a');
  await one.take(order({ kind: 'run', op_id: '1', author: 'claude', keys: ['a'] }));
  await one.take(order({ kind: 'run', op_id: '2', author: 'claude', keys: ['a', 'gone'] }));
  assert.deepEqual(editor.ran, [['a']]);
  assert.deepEqual(kernel.of('done').map(one => one.result), ['applied', 'conflict']);
});

test('no cell runs for an order that the kernel does not wait for any more', async () => {
  const { editor, kernel, session: one } = await session('a');
  kernel.answers.set('done', { status: 'ok', op: 'noted', attach: false, paused: null, over: true });
  await one.take(order({ kind: 'run', op_id: '1', author: 'claude', keys: ['a'] }));
  assert.deepEqual(editor.ran, []);
});

test('saving is asked of the editor; renaming is refused with a reason', async () => {
  const { editor, kernel, session: one } = await session('a');
  await one.take(order({ kind: 'save', op_id: '1' }));
  await one.take(order({ kind: 'rename', op_id: '2', name: 'b.ipynb' }));
  assert.equal(editor.saved, 1);
  assert.deepEqual(kernel.of('done').map(one => one.result), ['applied', 'refused']);
  assert.match(kernel.of('done')[1]!.message!, /Explorer/);
});

test('agents and states are kept as the kernel says', async () => {
  const { session: one } = await session('a');
  await one.take(order({ kind: 'agents', agents: [{ name: 'claude', last_heard: 1, runs: 2, refused: 0, told: 'ran something once', actions: [{ at: 0, what: 'ran cell a' }] }], paused: true }));
  assert.deepEqual([one.agents.map(agent => agent.name), one.paused], [['claude'], true]);
  const state = { cell_id: '1', status: 'ok', stale: true, changed: false, edited_by: null, defines: [], upstream: [] } as const;
  await one.take(order({ kind: 'state', cells: { a: { ...state, defines: [], upstream: [] } } }));
  assert.equal(one.states.get('a')?.stale, true);
});

test('the kernel hears of a document in which an order waits', async context => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { editor, kernel, session: one } = await session('a');
  let go = (): void => undefined;
  editor.pauseOfTyping = () => new Promise(resolve => (go = resolve));
  const applied = one.take(apply('1', [insert('x', null)]));
  await new Promise(setImmediate);
  context.mock.timers.tick(2_000);
  await new Promise(setImmediate);
  assert.equal(kernel.of('changed').length, 2);
  go();
  await applied;
  assert.equal(kernel.of('done')[0]?.result, 'applied');
});
