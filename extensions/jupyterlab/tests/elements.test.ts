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
  const comms: any[] = [];
  let waits = 0;
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
    expectKernel: (root: unknown) => {
      assert.equal(root, panel.content.node);
      let known = false;
      waits++;
      return () => void (known || (waits--, (known = true)));
    },
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
  const kernel = (name: string): any => ({
    createComm: () => {
      comms.push({ isDisposed: false, open: () => did.push(`open ${name}`), send: () => did.push(`send ${name}`), close: () => {} });
      return comms.at(-1);
    }
  });
  return { did, state, elements, kernel, comms, waits: () => waits };
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

test('native forms wait until a notebook with elements has a kernel that answers, or none that has elements', async () => {
  const ends: Record<string, (made: ReturnType<typeof world>) => void> = {
    'it answers': ({ comms }) => comms[0].onMsg({ content: { data: { type: 'welcome' } } }),
    'it knows no elements': ({ comms }) => comms[0].onClose(),
    'it goes': ({ elements }) => elements.detach()
  };
  for (const [name, end] of Object.entries(ends)) {
    const made = world(SLIDER);
    await turn();
    assert.equal(made.waits(), 1);
    made.elements.attach(made.kernel('a'));
    await turn();
    assert.equal(made.waits(), 1);
    end(made);
    assert.equal(made.waits(), 0, name);
  }
  const other = world('print(1)');
  const foreign = world(SLIDER);
  await turn();
  foreign.elements.miss();
  const early = world(SLIDER);
  early.elements.miss();
  await turn();
  assert.deepEqual([other.waits(), foreign.waits(), early.waits()], [0, 0, 0]);
});
