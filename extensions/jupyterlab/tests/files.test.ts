import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Files, keepNewest, newestKept } from '../src/loader/files.js';
import { LOADER } from '../src/loader/messages.js';
import { Page } from '../src/loader/page.js';

/** A cache of a browser, and a document that notes what it is to load. */
const kept = new Map<string, Response>();
const preloaded: any[] = [];
const revoked: string[] = [];
const cache = {
  match: async (address: string) => kept.get(address)?.clone(),
  put: async (address: string, response: Response) => void kept.set(address, response),
  delete: async (address: string) => kept.delete(address),
  keys: async () => [...kept.keys()].map(url => ({ url }))
};
const listeners = { addEventListener: () => {} };
Object.assign(globalThis, {
  caches: { open: async () => cache },
  document: {
    body: { dataset: {} },
    getElementsByClassName: () => [],
    createElement: () => ({ relList: { supports: () => true }, remove: () => {} }),
    head: { append: (link: any) => void preloaded.push(link) }
  },
  MutationObserver: class { observe() {} },
  ResizeObserver: class { observe() {} },
  CSSStyleSheet: class {},
  window: listeners
});
const revoke = URL.revokeObjectURL;
URL.revokeObjectURL = url => {
  revoked.push(url);
  revoke(url);
};
beforeEach(() => {
  kept.clear();
  preloaded.length = revoked.length = 0;
});

const START = { 'a.js': 'import"./b.js";a', 'b.js': 'b', 'c.css': ':root{}' };
const LATER = { 'later.js': 'import"./a.js";later' };

/** A kernel that sends these files. */
function line(assets: string) {
  const asked: unknown[] = [];
  const pack = (files: object) => {
    const data = gzipSync(Object.values(files).join(''));
    const parts = [Object.entries(files).map(([name, text]) => [name, text.length])];
    return [{ type: 'assets', entry: 'a.js', later: ['later.js'], css: ['c.css'], parts, sizes: [data.length] }, [data]];
  };
  const one: any = { key: 'k', assets, asked, ask: async ({ names }: any) => (asked.push(names), pack(names ? LATER : START)) };
  return one;
}
const text = async (url: string) => (await fetch(url)).text();
const noKernel = () => new Promise<never>(() => {});
const turn = () => new Promise(resolve => setTimeout(resolve, 1));

test('the files come from the kernel once, and then from the cache of the browser', async () => {
  const kernel = line('1');
  const first = new Files('1', async () => kernel);
  const [head, again] = await Promise.all([first.start(), first.start()]);
  assert.equal(head, again);
  assert.deepEqual(kernel.asked, [null]);
  assert.equal(first.css('c.css'), ':root{}');
  const second = new Files('1', noKernel);
  assert.deepEqual((await second.start()).later, ['later.js']);
  assert.match(await text(second.url('a.js')), new RegExp(`import"${second.url('b.js')}";a$`));
});

test('a kernel that goes away while it sends files leaves the next one to send them', async () => {
  const kernel = line('1');
  const gone = { ask: async () => null };
  const lines = [gone, kernel];
  const files = new Files('1', async () => lines.shift() as any);
  assert.equal((await files.start()).entry, 'a.js');
});

test('warmed up, all chunks have addresses and are compiled, and nothing is asked of a kernel', async () => {
  const kernel = line('1');
  const before = new Files('1', async () => kernel);
  await before.start();
  await before.chunk('later.js');
  preloaded.length = 0;
  const files = new Files('1', noKernel);
  await files.warmUp();
  assert.equal(preloaded.length, 3);
  assert.ok(preloaded.every(link => link.rel === 'modulepreload'));
  assert.deepEqual(new Set(preloaded.map(link => link.href)), new Set(['a.js', 'b.js', 'later.js'].map(name => files.url(name))));
  files.drop();
  assert.ok(preloaded.every(link => revoked.includes(link.href)));
});

test('of the files of other versions only those that were used before are kept', async () => {
  for (const version of ['1', '2', '3']) {
    await new Files(version, async () => line(version)).start();
    await turn();
    await keepNewest(version);
  }
  assert.equal(await newestKept(), '3');
  const versions = [...kept.keys()].map(address => address.split('/').slice(3, 5));
  assert.deepEqual(versions.filter(([loader]) => loader === String(LOADER)).map(([, version]) => version), ['2', '3']);
});

test('a page makes ready what ran last, and drops it for a kernel with another front end', async () => {
  kept.set('http://marimo.invalid/newest', new Response('1'));
  const kernel = line('1');
  await new Files('1', async () => kernel).start();
  await turn();
  preloaded.length = 0;
  const page = new Page();
  void page.warmUp();
  while (preloaded.length < 2) await turn();
  const warm = page.frontEnd!;
  assert.equal(warm.assets, '1');
  assert.equal(warm.runs, false);
  page.prepare('2');
  while (page.frontEnd === warm) await turn();
  assert.equal(page.frontEnd!.assets, '2');
  assert.ok(preloaded.every(link => revoked.includes(link.href)));
  const other = line('2');
  page.add(other);
  while (!other.asked.length) await turn();
  assert.equal(other.asked[0], null); // first the files that start it
});

test('a page that has nothing of a front end makes nothing ready', async () => {
  const page = new Page();
  await page.warmUp();
  assert.equal(page.frontEnd, null);
});
