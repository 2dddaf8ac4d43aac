import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { heldValues } from '../src/loader/frontend.js';
import { isForElement } from '../src/loader/keys.js';
import { Line } from '../src/loader/lines.js';
import { connect, expectKernel } from '../src/loader/loader.js';
import { LOADER, type Message, type Sent } from '../src/loader/messages.js';
import { saveForms, showOutputs } from '../src/loader/notebooks.js';
import { boundaryOf } from '../src/loader/overlays.js';
import { rewritten, styles } from '../src/loader/rewriting.js';
import { answered, TextRequest } from '../src/loader/server.js';
import { themeOf } from '../src/loader/theme.js';

const chunk = (text: string) => rewritten('a.js', text, name => `blob:${name}`, 'blob:page');

test('a chunk imports others by the addresses that they have on this page', () => {
  const text = chunk('import{a}from"./b.js";import"./c.js";export{d}from"./d.js";import("./late.js").then(x);');
  assert.match(text, /import\{a\}from"blob:b\.js";import"blob:c\.js";export\{d\}from"blob:d\.js";mkbPage\.chunk\("late\.js"\)\.then\(x\);$/);
});

test('a chunk has no access to the requests, the address, the history and the names of the page', () => {
  const text = chunk('fetch(a);globalThis.fetch;window.fetch;window.history.replaceState();window[t]=1;window.__MARIMO_STATIC__;import.meta.url');
  assert.match(text, /^import\{page as mkbPage\}from"blob:page";const fetch=mkbPage\.fetch,WebSocket=mkbPage\.WebSocket,/);
  assert.match(text, /mkbPage\.fetch;mkbPage\.fetch;mkbPage\.history\.replaceState\(\);mkbPage\.names\[t\]=1;mkbPage\.__MARIMO_STATIC__;/);
  assert.match(text, /"http:\/\/marimo\.invalid\/assets\/a\.js"$/);
});

test('the base address of the page, its body and the focus of its elements stay as they are', () => {
  const text = chunk('document.querySelector(`base`);document.createElement("base");document.body.classList.add(d);document.body.dataset.theme=d;document.body.append(p);');
  assert.doesNotMatch(text, /[(`"]base[`")]|document\.body\.(classList|dataset)/);
  assert.match(text, /document\.body\.append\(p\);$/); // what opens over the page still does
  assert.match(chunk('Reflect.defineProperty(t.HTMLElement.prototype,"focus",{})'), /Reflect\.defineProperty\(t\.HTMLElement\.mkbNone\?\?\{\},"focus",\{\}\)$/);
});

test('what opens over an output may reach out of it, to where there is room in its notebook', () => {
  assert.match(chunk('(0,u.jsx)(e,{...t,collisionBoundary:r})'), /collisionBoundary:mkbPage\.boundary\(r\)\}\)$/);
  class ShadowRoot { constructor(readonly host: object) {} }
  const style = { contain: 'none' };
  const panel = { name: 'panel', style: { contain: 'strict' }, parentElement: null };
  const inner = { style, parentElement: panel };
  const cell = { style, parentElement: inner };
  const of = (cell: object | null, parentElement: object): any => ({ getRootNode: () => new ShadowRoot({ closest: () => cell, parentElement }) });
  const before = globalThis.document;
  Object.assign(globalThis, { ShadowRoot, getComputedStyle: (one: { style: object }) => one.style, document: { body: { dataset: { jpThemeLight: 'true' } } } });
  assert.equal(boundaryOf(of(cell, inner)), panel);
  assert.equal(boundaryOf(of(null, inner)), panel); // in a view of the output alone
  assert.equal(boundaryOf(null), null);
  Object.assign(globalThis, { document: { body: { dataset: { vscodeThemeKind: 'vscode-light' } } } });
  const output = of(cell, inner);
  assert.equal(boundaryOf(output), output);
  Object.assign(globalThis, { document: before });
});

test('with a loader of AMD modules on the page, a chunk does not find it', () => {
  assert.match(chunk(''), /,define=void 0;/);
});

test('an element that is in none of marimo\'s cells is no warning on the console', () => {
  assert.match(chunk('if(c&&!i){}else W.warn(`Cell ID ${c} cannot be found`);let l=1'), /else void 0;let l=1$/);
});

test('nothing is fetched from a CDN', () => {
  assert.match(chunk('load(`https://cdn.jsdelivr.net/npm/mathjax-full@3.2.2/es5/tex-mml-svg.min.js`)'), /load\(`data:text\/javascript,`\)$/);
});

test('of the style sheet only what a document alone can declare goes into the document', () => {
  const { properties, overlays, elements, outputs } = styles(
    '.gdg-a .b{color:red}:root{--a:1}@property --tw-x{syntax:"*";inherits:false}@font-face{font-family:Lora;src:url(./Lora.woff2)}.b{background:url(./noise.png)}'
  );
  assert.equal(properties, '@property --tw-x{syntax:"*";inherits:false}');
  assert.equal(overlays, '.gdg-a .b{color:red}');
  assert.doesNotMatch(elements, /font-face|url\(/);
  assert.match(outputs, /\}:host\{--a:1\}/);
});

test('the theme is that of VS Code, or else that of JupyterLab', () => {
  const theme = (dataset: object) => themeOf({ dataset } as HTMLElement);
  assert.equal(theme({ jpThemeLight: 'true' }), 'vscode-light');
  assert.equal(theme({ jpThemeLight: 'false' }), 'vscode-dark');
  assert.equal(theme({ vscodeThemeKind: 'vscode-high-contrast' }), 'vscode-high-contrast');
});

test('keys are for the element in which they are pressed, but for those that save the notebook or open a menu', () => {
  const key = (key: string, ctrlKey = false) => isForElement({ key, ctrlKey, metaKey: false } as KeyboardEvent);
  assert.deepEqual([key('d'), key('Escape'), key('ArrowRight'), key('a', true), key('ArrowLeft', true)], [true, true, true, true, true]);
  assert.deepEqual([key('s', true), key('P', true)], [false, false]);
});

test('what a person sets before the front end can send it is told when it can', () => {
  const page = new EventTarget();
  const before = globalThis.document;
  Object.assign(globalThis, { document: page });
  const set = (objectId: string) => page.dispatchEvent(Object.assign(new Event('marimo-value-ready'), { detail: { objectId } }));
  const tell = heldValues();
  for (const id of ['k~a', 'k~b', 'k~a']) set(id);
  const told: string[] = [];
  page.addEventListener('marimo-value-ready', event => void told.push((event as CustomEvent).detail.objectId));
  tell();
  assert.deepEqual(told, ['k~a', 'k~b']);
  set('k~c'); // by now the front end sends it
  tell();
  assert.deepEqual(told, ['k~a', 'k~b', 'k~c', 'k~a', 'k~b']);
  Object.assign(globalThis, { document: before });
});

test('a value goes to its kernel in the same turn of the event loop, before the browser draws what has changed', async () => {
  const sent: object[] = [];
  const lines: any = new Map([['k', { send: (message: object) => void sent.push(message) }]]);
  const body = JSON.stringify({ objectIds: ['k~a-0'], values: [3] });
  const request = new TextRequest('http://marimo.invalid/api/kernel/set_ui_element_value', { method: 'POST', body });
  const answer = answered(lines, new TextRequest(request));
  assert.deepEqual(sent, [{ type: 'set', values: [['a-0', 3]] }]);
  assert.equal((await answer).status, 200);
  await answered(lines, new TextRequest(request, { body: new Blob([body]) })); // no text: it is read
  assert.equal(sent.length, 2);
  assert.match(chunk('new Request(a)'), /,Request=mkbPage\.Request,.*new Request\(a\)$/); // what the front end makes
});

// Messages

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

Object.assign(globalThis, {
  document: { body: {}, getElementsByClassName: () => [] },
  MutationObserver: class { observe() {} },
  ResizeObserver: class { observe() {} },
  window: { addEventListener: () => {} }
});

/** A carrier that keeps what is sent, and a page without elements. */
function carrier(notebook: any = null) {
  const sent: Sent[] = [];
  return { sent, carrier: { send: (message: Sent) => void sent.push(message), notebook: () => notebook }, types: () => sent.map(one => one.type) };
}

function line(notebook: any = null) {
  const received: unknown[] = [];
  const page: any = { id: 'me', lines: new Map(), frontEnd: { receive: (op: string) => received.push(op) } };
  const one = new Line(page, 'k', '1');
  const made = carrier(notebook);
  one.carriers.push(made.carrier);
  page.lines.set('k', one);
  return { line: one, page, received, ...made };
}

test('a request is repeated after one, two and four seconds, until it is answered', async () => {
  const { line: one, sent } = line();
  const reply = one.ask({ type: 'get', out: 'c:1' });
  assert.deepEqual(sent, [{ type: 'get', out: 'c:1', req: 'me-1', page: 'me' }]);
  for (const [time, count] of [[999, 1], [1, 2], [2_000, 3], [3_999, 3], [1, 4]]) {
    mock.timers.tick(time);
    assert.equal(sent.length, count);
  }
  one.receive({ type: 'html', req: 'me-1', html: 'x', values: {} }, []);
  one.receive({ type: 'html', req: 'me-1', html: 'again', values: {} }, []);
  mock.timers.tick(100_000);
  assert.equal(sent.length, 4);
  assert.equal((await reply)?.[0].html, 'x');
});

test('a request goes on when the model of the widget is made anew, and ends with the line', async () => {
  const { line: one, sent } = line();
  const reply = one.ask({ type: 'get', out: 'c:1' });
  const second = carrier();
  one.carriers.push(second.carrier);
  mock.timers.tick(1_000);
  assert.deepEqual([sent.length, second.types()], [1, ['get']]);
  one.close();
  assert.equal(await reply, null);
});

test('a message that is too large for one goes in parts, whose text is ASCII', () => {
  const { line: one, sent } = line();
  const file = `Ω${'x'.repeat(3_000_000)}`;
  one.send({ type: 'set', values: [['e', file]] });
  assert.deepEqual(sent.map(({ type, page, whole, index, count }) => [type, page, whole, index, count]), [0, 1].map(index => ['part', 'me', '1', index, 2]));
  const texts = sent.map(({ text }) => text as string);
  assert.deepEqual(texts.filter(text => text.length > 3_000_000 || /[^ -~]/.test(text)), []);
  assert.deepEqual(JSON.parse(texts.join('')), { type: 'set', values: [['e', file]], page: 'me' });
  one.send({ type: 'set', values: [['e', 'small']] });
  assert.deepEqual(sent.at(-1), { type: 'set', values: [['e', 'small']], page: 'me' });
});

test('what this page changed is not told to it again', () => {
  const { line: one, received } = line();
  const told = (except: string): Message => ({ type: 'notification', except, op: 'send-ui-element-message', data: '{}' });
  one.receive(told('me'), []);
  assert.deepEqual(received, []);
  one.receive(told('other'), []);
  one.receive(told(''), []);
  assert.deepEqual(received, ['send-ui-element-message', 'send-ui-element-message']);
});

test('a notebook is saved with the present static forms, and its model stays as it is', () => {
  const placeholder = (value: number, key = 'k') => `<div class="mkb-live" data-mkb-kernel="${key}" data-mkb-out="c:1">${value}</div>`;
  const output = (html: string | string[]) => ({ output_type: 'display_data', data: { 'text/html': html, 'text/plain': '3' } });
  const cells = () => [{ outputs: [output(placeholder(3)), output([placeholder(3, 'another')]), { output_type: 'stream' }] }, { source: '' }];
  const notebook = { cells: [], toJSON: () => ({ cells: cells() as any[] }) };
  const { line: one, page } = line(notebook);
  one.receive({ type: 'static', out: 'c:1', data: { 'text/html': placeholder(7), 'text/plain': '7' } }, []);
  one.receive({ type: 'static', out: 'c:1', data: { 'text/html': placeholder(8), 'text/plain': '8' } }, []);
  saveForms(notebook, page.lines);
  const [saved, foreign] = notebook.toJSON().cells[0].outputs;
  assert.deepEqual(saved.data, { 'text/html': placeholder(8), 'text/plain': '8' });
  assert.deepEqual(foreign, output([placeholder(3, 'another')]));
});

test('late outputs are shown in their cell, unless it has them', () => {
  const shown: unknown[] = [];
  const cell = (id: string) => ({ id, outputs: { toJSON: () => [{ a: 1 }], fromJSON: (outputs: unknown) => void shown.push([id, outputs]) } });
  const notebook: any = { cells: [cell('x'), cell('y'), { id: 'text' }] };
  showOutputs(notebook, 'y', [{ a: 1 }]);
  showOutputs(notebook, 'text', [{ a: 2 }]);
  showOutputs(null, 'y', [{ a: 2 }]);
  assert.deepEqual(shown, []);
  showOutputs(notebook, 'y', [{ a: 2 }]);
  assert.deepEqual(shown, [['y', [{ a: 2 }]]]);
});

test('a page greets a kernel until it is welcome, and then hears it on the newest carrier alone', () => {
  const first = carrier();
  const second = carrier();
  const { page } = (globalThis as any)[Symbol.for(`marimo_kernel_bridge.live.${LOADER}`)] ?? { page: null };
  assert.equal(page, null);
  const one = connect(first.carrier);
  mock.timers.tick(1_000);
  assert.deepEqual(first.types(), ['hello', 'hello']);
  assert.equal(first.sent[0].loader, LOADER);
  const welcome = { type: 'welcome', key: 'k', assets: '1' };
  one.receive(welcome);
  one.receive(welcome);
  mock.timers.tick(10_000);
  assert.equal(first.sent.length, 2);

  const shared = (globalThis as any)[Symbol.for(`marimo_kernel_bridge.live.${LOADER}`)];
  const received: string[] = [];
  shared.frontEnd = { receive: (op: string) => received.push(op) };
  const two = connect(second.carrier);
  two.receive(welcome);
  assert.equal(shared.lines.size, 1);
  const told = (op: string) => ({ type: 'notification', except: '', op, data: '{}' });
  one.receive(told('old'));
  two.receive(told('new'));
  assert.deepEqual(received, ['new']);

  two.close();
  assert.equal(first.types().at(-1), 'hello'); // that one is used again
  one.receive(told('back'));
  assert.deepEqual(received, ['new', 'back']);
  one.close();
  assert.equal(shared.lines.size, 0);
});

test('native forms wait for what is known of the kernel of their own notebook, for a minute at most', () => {
  const node = (...inside: string[]): any => ({ contains: (form: string) => inside.includes(form) });
  const [one, two] = [node('a'), node('b')];
  const known = expectKernel(one);
  expectKernel(two);
  const shared = (globalThis as any)[Symbol.for(`marimo_kernel_bridge.live.${LOADER}`)];
  const waiting = () => ['a', 'b', 'c'].filter(form => shared.waits(form));
  assert.deepEqual(waiting(), ['a', 'b']);
  known();
  assert.deepEqual(waiting(), ['b']);
  mock.timers.tick(60_000);
  assert.deepEqual(waiting(), []);
});

test('where elements are expected, the front end is asked for before there is one, and else not', async () => {
  Object.assign(globalThis, { CSSStyleSheet: class {} });
  const shared = (globalThis as any)[Symbol.for(`marimo_kernel_bridge.live.${LOADER}`)];
  if (shared) shared.frontEnd = null;
  for (const expects of [false, true]) {
    const made = carrier();
    const one = connect(Object.assign(made.carrier, { expects }));
    one.receive({ type: 'welcome', key: 'k', assets: '1' });
    mock.timers.tick(1);
    await new Promise(setImmediate);
    assert.deepEqual(made.types(), expects ? ['hello', 'assets'] : ['hello']);
    one.close();
  }
});

test('a kernel that does not welcome the page is not greeted any more once it is gone', () => {
  const { carrier: way, sent } = carrier();
  const one = connect(way);
  one.close();
  mock.timers.tick(100_000);
  assert.equal(sent.length, 1);
});
