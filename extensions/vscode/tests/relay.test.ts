import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { kernelspecFor, relativeTo, within } from '../src/environment_names';
import { chosenPython, jupyterDataFolder } from '../src/python';
import { type Listener, Relay } from '../src/relay';

/** A relay that says a line and answers each question with its number. */
const program = (first: object, then = ''): string => `
  process.stdout.write(JSON.stringify(${JSON.stringify(first)}) + '\\n');
  require('readline').createInterface({ input: process.stdin }).on('line', line => {
    const asked = JSON.parse(line);
    ${then}
    if (asked.do === 'ask') process.stdout.write(JSON.stringify({ say: 'reply', id: asked.id, reply: { status: 'ok', op: 'noted', id: asked.id } }) + '\\n');
    else process.stdout.write(JSON.stringify({ say: 'kernel', notebook: asked.notebook, kernel: asked.do, problem: null }) + '\\n');
  });`;

class Heard implements Listener {
  kernels: (string | null)[] = [];
  problems: string[] = [];
  private wanted: (() => void)[] = [];

  kernel(_: string, kernel: string | null): void {
    this.kernels.push(kernel);
    this.wanted.forEach(one => one());
  }

  problem(text: string): void {
    this.problems.push(text);
    this.wanted.forEach(one => one());
  }

  order(): void {
    // none here
  }

  log(): void {
    // not looked at
  }

  until(what: () => boolean): Promise<void> {
    return new Promise(resolve => this.wanted.push(() => what() && resolve()));
  }
}

const started = (source: string): (() => ChildProcessWithoutNullStreams) => () => spawn(process.execPath, ['-e', source], { stdio: 'pipe' });

test('requests get their replies, and what is waiting when the relay ends is answered', async () => {
  const heard = new Heard();
  const relay = new Relay(started(program({ say: 'hello', version: '1', document: 1 }, "if (asked.content?.op === 'detach') process.exit(3);")), heard);
  const found = heard.until(() => heard.kernels.includes('watch'));
  relay.watch('/n.ipynb');
  await found;
  const answers = await Promise.all([1, 2].map(() => relay.ask('/n.ipynb', { op: 'compare', client: 'c' })));
  assert.deepEqual(answers.map(one => (one as { id?: number }).id), [1, 2]);
  const last = await relay.ask('/n.ipynb', { op: 'detach', client: 'c' });
  assert.equal(last.status, 'error');
  assert.equal(heard.kernels.at(-1), null);
  relay.dispose();
});

test('a package of another version is named, and not started again', async () => {
  const heard = new Heard();
  const relay = new Relay(started(program({ say: 'hello', version: '2030.1.0', document: 2 })), heard);
  const told = heard.until(() => heard.problems.length > 0);
  relay.watch('/n.ipynb');
  await told;
  assert.match(heard.problems[0]!, /2030\.1\.0 version 2.*vscode --install/);
  relay.dispose();
});

test("the Python is the setting's, else the one that installed the extension", () => {
  const folder = mkdtempSync(join(tmpdir(), 'jupyter-'));
  mkdirSync(join(folder, 'marimo-kernel-bridge'));
  assert.equal(chosenPython('/set/python', folder), '/set/python');
  writeFileSync(join(folder, 'marimo-kernel-bridge', 'vscode.json'), '{"python": "/recorded/python"}');
  assert.equal(chosenPython('', folder), '/recorded/python');
  writeFileSync(join(folder, 'marimo-kernel-bridge', 'vscode.json'), '[');
  assert.equal(chosenPython('', folder), 'python3');
  assert.equal(jupyterDataFolder({}, 'linux', '/home/me'), '/home/me/.local/share/jupyter');
  assert.equal(jupyterDataFolder({ JUPYTER_DATA_DIR: '/j' }, 'darwin', '/home/me'), '/j');
});

test('an environment has one kernelspec, and a short path in the notebook', () => {
  assert.equal(kernelspecFor('/home/study/.venv').displayName, 'marimo (study/.venv)');
  assert.match(kernelspecFor('/home/study/.venv').name, /^marimo-study-venv-[0-9a-f]{6}$/);
  assert.notEqual(kernelspecFor('/a/.venv').name, kernelspecFor('/b/a/.venv').name);
  assert.equal(within('/x/.venv/bin/python'), '/x/.venv');
  assert.equal(relativeTo('/w/study', '/w/study/.venv'), '.venv');
  assert.equal(relativeTo('/w/study/notebooks', '/w/study/.venv'), '../.venv');
  assert.equal(relativeTo('/w/study', '/opt/conda'), '/opt/conda');
});
