import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { Elements } from '../src/elements.js';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());
Object.assign(globalThis, {
  MutationObserver: class { observe() {} disconnect() {} },
  window: { addEventListener: () => {}, setTimeout: (act: () => void, time: number) => setTimeout(act, time), clearTimeout: (timer: any) => clearTimeout(timer) }
});
const turn = () => new Promise(resolve => setImmediate(resolve));

/** An open notebook with these cells, a loader that comes or not, and kernels that note their comms. */
function world(...cells: string[]) {
  const did: string[] = [];
  const state = { fails: 0, hold: null as Promise<void> | null };
  const panel: any = {
    isDisposed: false,
    context: { ready: Promise.resolve() },
    content: {
      node: { getElementsByClassName: () => [] },
      modelContentChanged: { connect: () => {}, disconnect: () => {} },
      model: { cells: cells.map(text => ({ type: 'code', sharedModel: { getSource: () => text } })) }
    }
  };
  const loader: any = {
    warmUp: async () => void did.push('warm up'),
    expect: (assets: string) => void did.push(`expect ${assets}`),
    connect: (carrier: any) => {
      carrier.send({ type: 'hello' });
      return { receive: () => {}, close: () => void did.push('close') };
    }
  };
  const elements = new Elements(panel, async () => {
    await state.hold;
    if (state.fails-- > 0) throw new Error('The server is away.');
    return loader;
  });
  const kernel = (name: string): any => ({ createComm: () => ({ isDisposed: false, open: () => did.push(`open ${name}`), send: () => did.push(`send ${name}`), close: () => {} }) });
  return { did, state, elements, kernel };
}
const SLIDER = 'mo.ui.slider(1, 9)';

test('what the browser keeps is made ready when a notebook with elements is opened, and no other', async () => {
  const { did } = world(SLIDER);
  const other = world('print(1)');
  await turn();
  assert.deepEqual([did, other.did], [['warm up'], []]);
});

test('a kernel that says which front end it has is expected to show elements before its comm is open', async () => {
  const { did, elements, kernel } = world(SLIDER);
  await turn();
  elements.attach(kernel('a'), '0.25.2');
  await turn();
  assert.deepEqual(did, ['warm up', 'expect 0.25.2', 'open a']);
});

test('a loader that does not come is fetched again', async () => {
  const { did, state, elements, kernel } = world(SLIDER);
  await turn();
  state.fails = 2;
  elements.attach(kernel('a'));
  for (let times = 0; times < 2; times++) {
    await turn();
    assert.deepEqual(did, ['warm up']);
    mock.timers.tick(5_000);
  }
  await turn();
  assert.deepEqual(did, ['warm up', 'open a']);
});

test('a kernel that goes and comes back while the loader is fetched gets one comm', async () => {
  const { did, state, elements, kernel } = world(SLIDER);
  await turn();
  let come: () => void = () => undefined;
  state.hold = new Promise(resolve => (come = resolve));
  const one = kernel('a');
  elements.attach(one);
  elements.detach();
  elements.attach(one);
  come();
  await turn();
  assert.deepEqual(did, ['warm up', 'open a']);
  elements.detach();
  assert.deepEqual(did, ['warm up', 'open a', 'close']);
});

test('a loader that comes after the notebook is closed opens nothing', async () => {
  const { did, state, elements, kernel } = world(SLIDER);
  await turn();
  state.fails = 1;
  elements.attach(kernel('a'));
  await turn();
  elements.detach();
  mock.timers.tick(100_000);
  await turn();
  assert.deepEqual(did, ['warm up']);
});
