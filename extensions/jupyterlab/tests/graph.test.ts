import assert from 'node:assert/strict';
import { test } from 'node:test';
import { laidOut, LAYER, ROW } from '../src/graph.js';

const cell = (key: string, ...upstream: string[]) => ({ key, label: key, upstream });

test('a cell stands in its row, further right than what it uses', () => {
  const { nodes, edges } = laidOut([cell('c', 'b', 'a'), cell('a'), cell('b', 'a')]);
  assert.deepEqual(nodes.map(node => [node.cell.key, node.x / LAYER, node.y / ROW]), [['c', 2, 0], ['a', 0, 1], ['b', 1, 2]]);
  assert.deepEqual(edges.map(edge => edge.from.cell.key + edge.to.cell.key), ['bc', 'ac', 'ab']);
});

test('circles and cells of other notebooks do not matter', () => {
  const { nodes, edges } = laidOut([cell('a', 'b', 'elsewhere'), cell('b', 'a')]);
  assert.equal(nodes.length, 2);
  assert.equal(edges.length, 2);
});

test('no cell is drawn without end to the right', () => {
  const chain = Array.from({ length: 400 }, (_, i) => cell(`${i}`, ...(i ? [`${i - 1}`] : [])));
  assert.ok(laidOut(chain).width <= 12 * LAYER);
});
