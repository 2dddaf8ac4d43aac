import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { type Greeted, Greeting } from '../src/greeting.js';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

/** A kernel whose answer comes when it is given. */
class Kernel implements Greeted<string> {
  connectionStatus = 'connected';
  requests = 0;
  resolve: (info: string) => void = () => undefined;
  info = new Promise<string>(resolve => (this.resolve = resolve));
  requestKernelInfo = () => Promise.resolve(void this.requests++);
}

function world() {
  const answers: string[] = [];
  const state: { kernel: Kernel | null } = { kernel: new Kernel() };
  const greeting = new Greeting<string>(() => state.kernel, info => void answers.push(info));
  return { answers, state, greeting };
}
const turn = () => new Promise(resolve => setImmediate(resolve));

test('a kernel is asked once while its answer is on the way', async () => {
  const { answers, state, greeting } = world();
  for (let times = 0; times < 3; times++) greeting.greet();
  state.kernel!.resolve('ours');
  await turn();
  assert.deepEqual(answers, ['ours']);
  mock.timers.tick(100_000);
  assert.equal(state.kernel!.requests, 0);
});

test('a kernel whose answer is lost is asked again after five and ten seconds', async () => {
  const { answers, state, greeting } = world();
  const kernel = state.kernel!;
  greeting.greet();
  for (const [time, requests] of [[4_999, 0], [1, 1], [9_999, 1], [1, 2]] as const) {
    mock.timers.tick(time);
    assert.equal(kernel.requests, requests);
  }
  kernel.resolve('ours');
  await turn();
  assert.deepEqual(answers, ['ours']);
});

test('a kernel is greeted although the one before has gone without an answer', async () => {
  const { answers, state, greeting } = world();
  const before = state.kernel!;
  greeting.greet();
  state.kernel = new Kernel();
  greeting.greet();
  state.kernel.resolve('new');
  await turn();
  before.resolve('old');
  await turn();
  assert.deepEqual(answers, ['new']);
  mock.timers.tick(100_000);
  assert.equal(before.requests, 0);
});

test('an answer of a kernel that is not connected any more is none, and it is greeted when it is connected again', async () => {
  const { answers, state, greeting } = world();
  const kernel = state.kernel!;
  greeting.greet();
  kernel.connectionStatus = 'connecting';
  kernel.resolve('ours');
  await turn();
  greeting.greet();
  await turn();
  assert.deepEqual(answers, []);
  kernel.connectionStatus = 'connected';
  greeting.greet();
  await turn();
  assert.deepEqual(answers, ['ours']);
});

test('no kernel is asked once the notebook is closed', () => {
  const { state, greeting } = world();
  greeting.greet();
  greeting.stop();
  mock.timers.tick(100_000);
  assert.equal(state.kernel!.requests, 0);
});
