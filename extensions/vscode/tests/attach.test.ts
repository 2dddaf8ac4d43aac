import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Propose } from '../../protocol';
import { NOBODY, change, held, order, propose, session } from './fake_kernel';

test('attaching tells all cells and who looks at them', async () => {
  const { kernel } = await session('a = 1');
  assert.deepEqual(kernel.asked, [
    {
      op: 'attach', front_end: 'vscode', version: '1', path: '/n.ipynb', can: ['apply', 'propose', 'run', 'save'],
      cells: [{ key: 'a', type: 'code', code: 'a = 1', by: null }], dirty: false, focused: true, editing: null,
      client: 'client1', protocol: 1
    }
  ]);
});

test('a document attaches once, however often its cells run while it does', async () => {
  const { kernel, session: one } = await session('a');
  one.lost();
  const answers = held(kernel);
  const attached = [one.attach(), one.attach()];
  await new Promise(setImmediate);
  answers[0]!.give({ status: 'ok', op: 'attached', ...NOBODY });
  await Promise.all(attached);
  assert.deepEqual(answers.map(one => one.op), ['attach']);
  assert.equal(one.attached, true);
});

test('the answer of a kernel that has ended meanwhile attaches to nothing', async () => {
  const { kernel, session: one } = await session('a');
  one.lost();
  const answers = held(kernel);
  const first = one.attach();
  one.lost();
  const second = one.attach();
  await new Promise(setImmediate);
  answers[0]!.give({ status: 'ok', op: 'attached', ...NOBODY, paused: true });
  await first;
  assert.deepEqual([one.attached, one.paused], [false, false]);
  await new Promise(setImmediate);
  answers[1]!.give({ status: 'ok', op: 'attached', ...NOBODY });
  await second;
  assert.equal(one.attached, true);
});

test('a kernel that did not answer in time is asked again, and forgets the name of before', async () => {
  const { kernel, session: one } = await session('a');
  one.lost();
  kernel.asked = [];
  kernel.answers.set('attach', { status: 'error', code: 'kernel_silent', evalue: 'Silent.', hint: '' });
  await one.attach();
  kernel.answers.clear();
  await one.attach();
  assert.deepEqual(kernel.asked.map(one => [one.op, one.client]), [
    ['attach', 'client2'], ['detach', 'client2'], ['attach', 'client3']
  ]);
});

test('a kernel that has lost a message is told everything again, by another client', async () => {
  const { kernel, session: one } = await session('a');
  kernel.answers.set('changed', { status: 'ok', op: 'noted', attach: true, paused: null, over: false });
  await one.take(order({ kind: 'who' }));
  assert.deepEqual(kernel.asked.map(one => [one.op, one.client]), [
    ['attach', 'client1'], ['changed', 'client1'], ['detach', 'client1'], ['attach', 'client2']
  ]);
});

test('a kernel of another version is refused with what to do', async () => {
  const { editor, kernel, session: one } = await session('a');
  kernel.answers.set('attach', { status: 'error', code: 'unsupported_version', evalue: 'Version 2.', hint: 'Update.' });
  one.lost();
  await one.attach();
  await one.attach(); // as another cell has run
  assert.deepEqual(editor.said, ['Version 2. Update.']);
  assert.equal(one.attached, false);
});

test('open proposals come again with the kernel, and are gone with another one, which is said', async () => {
  const { editor, kernel, session: one } = await session('a');
  kernel.attached = { ...NOBODY, open: [propose('p', [change('a', 'a', 'A')]) as Propose] };
  one.lost();
  await one.attach();
  assert.equal(one.proposals.all.length, 1);
  one.proposals.edit('p', 0, 'edited');
  one.lost();
  await one.attach();
  assert.equal(one.proposals.editOf('p', 0), 'edited');
  kernel.attached = NOBODY;
  one.lost();
  await one.attach();
  assert.deepEqual(one.proposals.all, []);
  assert.equal(editor.said.length, 1);
});
