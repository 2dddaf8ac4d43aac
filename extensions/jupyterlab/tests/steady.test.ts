import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { steadyOutputs } from '../src/loader/steady.js';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }));
afterEach(() => mock.timers.reset());

class FakeElement {
  style = { minHeight: '' };
  childElementCount = 0;
  parentElement: FakeElement | null = null;
  live = true;
  classList = { contains: (name: string) => name === this.name };

  constructor(private readonly name = '') {}
  closest = () => ({ querySelector: () => (this.live ? {} : null) });
}

let drawn = (_node: FakeElement, _height: number) => {};
const observed = new Set<FakeElement>();
Object.assign(globalThis, {
  HTMLElement: FakeElement,
  ResizeObserver: class {
    constructor(seen: (entries: object[]) => void) {
      drawn = (target, height) => observed.has(target) && seen([{ target, contentRect: { height } }]);
    }
    observe(node: FakeElement) { observed.add(node); }
  }
});

/** The outputs of a cell. */
function world(name = 'jp-Cell-outputArea') {
  const steady = steadyOutputs();
  const area = new FakeElement(name);
  const place = (area.parentElement = new FakeElement());
  let shown: FakeElement[] = [];
  const change = (addedNodes: FakeElement[], removedNodes: FakeElement[]) => {
    area.childElementCount = shown.length;
    steady([{ target: area, addedNodes, removedNodes }] as any);
    return place.style.minHeight;
  };
  const add = (height: number) => {
    const node = new FakeElement();
    shown.push(node);
    change([node], []);
    drawn(node, height);
  };
  /** Replace all by one output, which is of this height once it is drawn. */
  const replace = (height: number) => {
    const [node, gone] = [new FakeElement(), shown];
    shown = [node];
    const least = change([node], gone);
    drawn(node, height);
    return least;
  };
  const clear = () => {
    const gone = shown;
    shown = [];
    return change([], gone);
  };
  return { place, add, replace, clear };
}

test('outputs that are replaced keep their place until none has been for a second', () => {
  const { place, add, replace } = world();
  add(30);
  add(270);
  assert.equal(place.style.minHeight, '');
  for (let values = 0; values < 20; values++) {
    assert.equal(replace(30), '300px'); // a figure comes after the text
    mock.timers.tick(500);
    add(270);
    mock.timers.tick(400);
  }
  mock.timers.tick(99);
  assert.equal(place.style.minHeight, '300px');
  mock.timers.tick(1);
  assert.equal(place.style.minHeight, '');
});

test('a figure that takes long to draw has its place from the second time on', () => {
  const { place, add, replace } = world();
  add(30);
  add(270);
  const waits = [1, 2, 3].map(() => {
    replace(30);
    mock.timers.tick(2_000);
    const least = place.style.minHeight;
    add(270);
    mock.timers.tick(10_000);
    return least;
  });
  assert.deepEqual(waits, ['', '300px', '300px']);
  replace(30);
  mock.timers.tick(3_000);
  assert.equal(place.style.minHeight, '');
});

test('outputs that come one by one keep no place beyond that second', () => {
  const { place, add, replace } = world();
  add(5_000);
  replace(20);
  mock.timers.tick(900);
  add(20);
  mock.timers.tick(100);
  assert.equal(place.style.minHeight, '');
});

test('outputs that are replaced before they are whole keep the place of those before', () => {
  const { add, replace } = world();
  add(300);
  assert.deepEqual([replace(30), replace(30), replace(300)], ['300px', '300px', '300px']);
});

test('outputs that have become shorter have less of a place after some of them', () => {
  const { add, replace } = world();
  add(5_000);
  const places = [1, 2, 3, 4, 5].map(() => replace(20));
  assert.deepEqual(places, ['5000px', '5000px', '5000px', '5000px', '20px']);
});

test('outputs that a person clears leave no gap', () => {
  const { place, add, replace, clear } = world();
  add(300);
  assert.equal(clear(), '');
  add(300);
  assert.equal(replace(30), '300px');
  assert.equal(clear(), '');
  mock.timers.tick(1_000);
  assert.equal(place.style.minHeight, '');
});

test('what is no output of a cell, and what another kernel shows, is left alone', () => {
  const other = world('jp-OutputArea');
  const foreign = world();
  foreign.place.live = false;
  for (const { add, replace } of [other, foreign]) {
    add(300);
    assert.equal(replace(30), '');
  }
});
