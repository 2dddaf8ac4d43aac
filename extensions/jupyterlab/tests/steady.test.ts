import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { steadyOutputs } from '../src/loader/steady.js';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

class FakeElement {
  style = { minHeight: '' };
  childElementCount = 0;
  parentElement: FakeElement | null = null;
  classList: { contains(name: string): boolean };

  constructor(...names: string[]) {
    this.classList = { contains: name => names.includes(name) };
  }
}

let drawn = (_area: FakeElement, _height: number) => {};
class FakeSizes {
  constructor(seen: (entries: object[]) => void) {
    drawn = (target, height) => seen([{ target, contentRect: { height } }]);
  }
  observe() {}
}
Object.assign(globalThis, { HTMLElement: FakeElement, ResizeObserver: FakeSizes });

/** The output area of a cell, which has been drawn with this height once it had changed. */
function outputs(height: number) {
  const steady = steadyOutputs();
  const area = new FakeElement('jp-Cell-outputArea');
  const place = (area.parentElement = new FakeElement());
  const change = (added: number, removed: number) => {
    area.childElementCount += added - removed;
    steady([{ target: area, removedNodes: Array(removed), addedNodes: Array(added) }] as any);
  };
  change(2, 0);
  assert.equal(place.style.minHeight, '');
  drawn(area, height);
  return { area, place, change };
}

test('outputs that are replaced keep their place until they have been quiet', () => {
  const { area, place, change } = outputs(300);
  for (let values = 0; values < 20; values++) {
    change(1, 2); // the first of the new ones
    assert.equal(place.style.minHeight, '300px');
    drawn(area, 30);
    mock.timers.tick(900);
    change(1, 0);
    drawn(area, 300);
    mock.timers.tick(900);
  }
  assert.equal(place.style.minHeight, '300px');
  mock.timers.tick(100);
  assert.equal(place.style.minHeight, '');
});

test('shorter outputs have their own height after a moment, and it is theirs that the next ones keep', () => {
  const { area, place, change } = outputs(300);
  change(1, 2);
  drawn(area, 30);
  mock.timers.tick(1_000);
  assert.equal(place.style.minHeight, '');
  change(1, 1);
  assert.equal(place.style.minHeight, '30px');
});

test('a place grows with its outputs, and one that is not on the page has no height', () => {
  const { area, place, change } = outputs(300);
  change(1, 2);
  drawn(area, 400);
  drawn(area, 0);
  change(1, 1);
  assert.equal(place.style.minHeight, '400px');
});

test('outputs that a person clears leave no gap', () => {
  const { place, change } = outputs(300);
  change(0, 2);
  assert.equal(place.style.minHeight, '');
  mock.timers.tick(0);
  change(2, 0);
  change(1, 2);
  assert.equal(place.style.minHeight, '300px');
  change(0, 1);
  mock.timers.tick(1);
  assert.equal(place.style.minHeight, '');
});

test('what is no output of a cell is left alone', () => {
  const steady = steadyOutputs();
  const other = new FakeElement('jp-OutputArea');
  other.childElementCount = 1;
  const place = (other.parentElement = new FakeElement());
  for (let times = 0; times < 2; times++) {
    steady([other, {}].map(target => ({ target, removedNodes: [{}], addedNodes: [{}] })) as any);
    drawn(other, 100);
  }
  assert.equal(place.style.minHeight, '');
});
