import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attached, Order } from '../../protocol';
import { type Document, Link, type Outcome } from '../src/link.js';

const ATTACHED: Attached & { status: 'ok' } = {
  status: 'ok', op: 'attached', agents: [], paused: false, mode: 'autorun', parents: {}, open: [], cells: {}, live: ''
};

/** A kernel that answers at once, unless its replies are held, and a document that notes what it is asked. */
function world() {
  const sent: any[] = [];
  const obeyed: Order[] = [];
  const refusals: string[] = [];
  const state = { news: false, silent: false, outcome: { result: 'applied' } as Outcome | Promise<Outcome>, hold: null as Promise<void> | null, reply: {} as object };
  const document: Document = {
    all: () => ({ front_end: 'test', version: '1', path: 'a.ipynb', cells: [] }),
    news: always => (state.news || always ? { dirty: true } : null),
    attached: () => undefined,
    detached: () => undefined,
    obey: async order => {
      obeyed.push(order);
      return order.kind === 'apply' ? await state.outcome : null;
    },
    refused: ({ message }) => void refusals.push(message)
  };
  const link = new Link('me', async content => {
    sent.push(content);
    await state.hold;
    if (state.silent) return null;
    if ((content as { op: string }).op === 'attach') return ATTACHED;
    const { reply } = state;
    state.reply = {}; // once
    return { status: 'ok', op: 'noted', attach: false, paused: null, ...reply };
  }, document, 0);
  return { link, sent, obeyed, refusals, state, ops: () => sent.map(one => one.op) };
}

const apply = (op_id: string, to: string | null = 'me', protocol = 1): Order => ({ kind: 'apply', op_id, to, protocol, author: 'claude', changes: [], run: true });
const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 1)); // node ends a test that takes long
};
const turn = () => new Promise(resolve => setImmediate(resolve));

test('what is new is told before the outcome of an order', async () => {
  const { link, sent, state, ops } = world();
  await link.attach();
  state.news = true;
  link.receive(apply('1'));
  await turn();
  assert.deepEqual(ops(), ['attach', 'changed', 'done']);
  assert.deepEqual(sent[2], { op: 'done', op_id: '1', result: 'applied', client: 'me', protocol: 1 });
  assert.equal(sent[1].revision, 1);
});

test('orders are carried out one at a time and none twice, but one that comes again is answered again', async () => {
  const { link, obeyed, state, sent } = world();
  await link.attach();
  let finish: (outcome: Outcome) => void = () => undefined;
  state.outcome = new Promise(resolve => (finish = resolve));
  link.receive(apply('1'));
  link.receive(apply('2'));
  link.receive(apply('1'));
  await turn();
  assert.equal(obeyed.length, 1);
  finish({ result: 'conflict' });
  await turn();
  assert.deepEqual(obeyed.map(order => (order as { op_id: string }).op_id), ['1', '2']);
  link.receive(apply('1'));
  await turn();
  assert.equal(obeyed.length, 2);
  const done = sent.filter(one => one.op === 'done').map(one => [one.op_id, one.result]);
  assert.deepEqual(done, [['1', 'conflict'], ['2', 'conflict'], ['1', 'conflict']]);
});

test('orders for others, of another version, and before the reply to the newest attach are dropped', async () => {
  const { link, obeyed, state } = world();
  link.receive(apply('early'));
  await link.attach();
  link.receive(apply('other', 'you'));
  link.receive(apply('future', 'me', 2));
  let release: () => void = () => undefined;
  state.hold = new Promise(resolve => (release = resolve));
  const again = link.attach();
  link.receive(apply('replayed'));
  release();
  await again;
  link.receive(apply('fresh', null));
  await turn();
  assert.deepEqual(obeyed.map(order => (order as { op_id: string }).op_id), ['fresh']);
});

test('an order that came too late, or waited too long behind another one, is dropped, and the kernel is asked for it', async () => {
  const { link, obeyed, ops, state } = world();
  await link.attach();
  link.receive(apply('old'), 3_000);
  await turn();
  assert.deepEqual([obeyed, ops()], [[], ['attach', 'attach']]);
  let finish: (outcome: Outcome) => void = () => undefined;
  state.outcome = new Promise(resolve => (finish = resolve));
  link.receive(apply('old')); // the kernel wants it still
  link.receive(apply('behind'));
  await turn();
  await link.attach();
  finish({ result: 'applied' });
  await turn();
  assert.deepEqual(obeyed.map(order => (order as { op_id: string }).op_id), ['old']);
});

test('a closed document says goodbye once, and nothing after that', async () => {
  const { link, ops, state } = world();
  await link.attach();
  let finish: (outcome: Outcome) => void = () => undefined;
  state.outcome = new Promise(resolve => (finish = resolve));
  link.receive(apply('1'));
  await turn();
  link.close();
  link.close();
  finish({ result: 'applied' });
  await turn();
  assert.deepEqual(ops(), ['attach', 'detach']);
});

test('a kernel that does not know the document is told all of it again', async () => {
  const { link, state, ops } = world();
  await link.attach();
  state.news = true;
  state.reply = { attach: true };
  await link.tell();
  assert.deepEqual(ops().slice(0, 3), ['attach', 'changed', 'attach']);
});

test('who is answered at once, also while an order is carried out and with nothing new', async () => {
  const { link, state, ops } = world();
  await link.attach();
  state.outcome = new Promise(() => undefined);
  link.receive(apply('1'));
  link.receive({ kind: 'who', to: null, protocol: 1 });
  assert.deepEqual(ops(), ['attach', 'changed']);
});

test('a document that fails refuses, and the next order is carried out', async () => {
  const { link, state, sent } = world();
  await link.attach();
  state.outcome = Promise.reject(new Error('no model'));
  link.receive(apply('1'));
  await turn();
  state.outcome = { result: 'applied' };
  link.receive(apply('2'));
  await turn();
  const done = sent.filter(one => one.op === 'done');
  assert.deepEqual(done.map(one => [one.op_id, one.result]), [['1', 'refused'], ['2', 'applied']]);
  assert.match(done[0].message, /no model/);
});

test('a refusal of the kernel is shown with what to do', async () => {
  const { link, refusals, state } = world();
  await link.attach();
  state.reply = { status: 'error', code: 'unsupported_version', evalue: 'Other version.', hint: 'Update it.' };
  assert.equal(await link.request({ op: 'pause', paused: true }), null);
  assert.deepEqual(refusals, ['Other version. Update it.']);
});

test('a kernel that does not answer is asked again until it does, or is lost', async () => {
  const { link, ops, state } = world();
  state.silent = true;
  await link.attach();
  await until(() => ops().length > 1);
  assert.equal(link.attached, false);
  state.silent = false;
  await until(() => link.attached);
  state.silent = true;
  await link.attach();
  link.lose();
  const asked = ops().length;
  await new Promise(resolve => setTimeout(resolve, 20));
  assert.equal(ops().length, asked);
});

test('after losing the kernel nothing is sent or obeyed until it is attached again', async () => {
  const { link, obeyed, ops, state } = world();
  await link.attach();
  link.lose();
  state.news = true;
  await link.tell();
  link.receive(apply('1'));
  await turn();
  assert.deepEqual([ops(), obeyed], [['attach'], []]);
});
