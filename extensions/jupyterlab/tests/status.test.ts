import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { StatusQuestion } from '../src/status.js';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

/** A kernel, and how often it was asked for its history. */
function world() {
  let asked = 0;
  const kernel = { status: 'unknown', connectionStatus: 'connected', requestHistory: async () => void asked++ };
  return { kernel, asked: () => asked, question: new StatusQuestion(() => kernel) };
}

for (const status of ['unknown', 'starting', 'restarting']) {
  test(`a kernel whose status stays ${status} after a connection is asked until it is known, less and less often`, () => {
    const { kernel, asked, question } = world();
    kernel.status = status;
    question.begin();
    for (const [time, count] of [[999, 0], [1, 1], [1_999, 1], [1, 2], [4_000, 3]]) {
      mock.timers.tick(time);
      assert.equal(asked(), count);
    }
    kernel.status = 'busy';
    mock.timers.tick(100_000);
    assert.equal(asked(), 3);
  });
}

test('a kernel whose status is known, that is not connected, or whose notebook is closed is not asked', () => {
  const known = world();
  known.kernel.status = 'idle';
  const away = world();
  away.kernel.connectionStatus = 'connecting';
  const closed = world();
  for (const { question } of [known, away, closed]) question.begin();
  closed.question.stop();
  mock.timers.tick(3_000);
  assert.deepEqual([known.asked(), away.asked(), closed.asked()], [0, 0, 0]);
  away.kernel.connectionStatus = 'connected';
  mock.timers.tick(4_000);
  assert.equal(away.asked(), 1);
});
