/**
 * Makes marimo's elements live in a page of Jupyter: runs the front end of the marimo that the kernel has, with the kernel as its server.
 *
 * It loads as an anywidget (`initialize`), or a front end's own extension gives it a carrier (`connect`). Either way messages go both
 * ways and cells keep their plain HTML: a static form in a placeholder, which stands wherever this file does not run. Owns nothing of a
 * notebook: it changes outputs on the page and what is saved of them, never a cell's code.
 *
 * The front end's chunks are taken as they are, but for `PATCHES`: it believes to be alone on its page.
 */

/** The version of the messages. A kernel with another one does not answer. */
export const LOADER = 2;

/**
 * @typedef {{type: string, [name: string]: any}} Message one parsed message; the kernel's are trusted, as its outputs are
 * @typedef {{type: string, [name: string]: unknown}} Sent
 * @typedef {(ArrayBuffer | ArrayBufferView)[]} Buffers
 * @typedef {{[mime: string]: any}} Bundle
 * @typedef {{data?: Bundle, [name: string]: any}} Output
 * @typedef {{id: string, outputs: {toJSON(): unknown, fromJSON(outputs: any): void}}} Cell
 * @typedef {{cells: Iterable<any>, toJSON(): any}} Notebook JupyterLab's model of a notebook
 * @typedef {{send(message: Sent): void, notebook(): Notebook | null | undefined, expects?: boolean}} Carrier `expects`: elements are likely
 * @typedef {{receive(message: Message, buffers?: Buffers): void, close(): void}} Connection
 * @typedef {{type: string, entry: string, later: string[], css: string[], mount: object, ready: string, parts: [string, number][][], sizes: number[]}} Assets
 * @typedef {{html: string, host: HTMLElement, theme: HTMLElement}} Drawn
 */

const SERVER = 'http://marimo.invalid/';
const PATIENCE = 1_000; // ms until a request is repeated; doubles each time
const ASSETS_PATIENCE = 8_000; // megabytes, and VS Code takes seconds for them
const LONGEST = 60_000;
const VALUE_READY = 'marimo-value-ready'; // a person has set an element
const OTHERS = /^https:\/\/(api\.(iconify\.design|simplesvg\.com|unisvg\.com)|cdn\.jsdelivr\.net|unpkg\.com)\//;

// Rewriting the front end

/**
 * What a chunk has to have otherwise, as it is not alone on its page. One that does not match any more fails softly.
 * @type {[RegExp, string][]}
 */
export const PATCHES = [
  [/\b(createElement|querySelector)\((["'`])base\2\)/g, '$1("mkb-base")'], // a <base> would break the page's own addresses
  [/\bdocument\.getElementById\((["'`])root\1\)/g, 'mkbPage.root'],
  [/\b(?:window|globalThis)\.(fetch|history|__MARIMO_\w+)/g, 'mkbPage.$1'],
  [/\bwindow\[(\w+)\]/g, 'mkbPage.names[$1]'], // what would be globals of the page
  [/\bglobalThis(?=\)?\.__zod_)/g, 'mkbPage.names'],
  [/\bdocument\.querySelector\(`link\[rel~='icon'\]`\)/g, 'mkbPage.icon'],
  [/\bdocument\.body\.(classList|dataset)\b/g, 'mkbPage.body.$1'], // theme and locks
  [/\bdocument\.body\.(set|remove|get)Attribute\b/g, 'mkbPage.body.$1Attribute'],
  [/\bobserve\(document\.body,\{attributes\b/g, 'observe(mkbPage.body,{attributes'],
  [/\bHTMLElement\.prototype,\s*(["'`])focus\1/g, 'HTMLElement.mkbNone??{},"focus"'], // overrides it for the whole page
  [/\.href\.endsWith\((["'`])\.css\1\)/g, '.href.endsWith("\\0")'], // would take the page's style sheets into its elements
  [/https:\/\/cdn\.jsdelivr\.net\/[\w@./-]+\.js\b/g, 'data:text/javascript,'], // nothing is fetched from elsewhere
  [/\bimport\(\s*(["'`])\.\/([^"'`]+\.js)\1\s*\)/g, 'mkbPage.chunk("$2")'],
  [/__vite__mapDeps\(\[[^\]]*\]\)/g, '[]']
];

/** What opens below an output would be cut off by its cell, or covered by the next one or, up to JupyterLab 4.5, by the notebook's footer. */
const RAISED =
  '.jp-Cell:has(.mkb-live:focus-within){content-visibility:visible!important;contain:none!important;position:relative;z-index:10}' +
  '.jp-WindowedPanel-viewport:has(.mkb-live:focus-within){z-index:1}';

const IMPORTS = /((?:\bfrom|\bimport)\s*)(["'`])\.\/([^"'`]+\.js)\2/g;

/**
 * Return the text of a chunk for this page. `urlOf` gives the address of another chunk, `page` that of the module with `mkbPage`.
 * @param {string} name @param {string} text @param {(name: string) => string} urlOf @param {string} page
 */
export function rewritten(name, text, urlOf, page) {
  let source = text.replace(IMPORTS, (_, before, quote, chunk) => before + quote + urlOf(chunk) + quote);
  for (const [pattern, replacement] of PATCHES) source = source.replace(pattern, replacement);
  source = source.replaceAll('import.meta.url', JSON.stringify(`${SERVER}assets/${name}`));
  // With a loader of AMD modules on the page, parts of the chunk would register there and export nothing.
  return `import{page as mkbPage}from"${page}";const fetch=mkbPage.fetch,WebSocket=mkbPage.WebSocket,define=void 0;${source}`;
}

/**
 * Return the style sheets that the page needs of the front end's: `properties` count in the document only, `elements` is
 * what the front end copies into its elements, `outputs` is for what stands around them.
 * @param {string} css
 */
export function styles(css) {
  const elements = css.replace(/@font-face\s*\{[^}]*\}/g, '').replace(/url\(["']?\.\/[^)]*\)/g, 'none');
  const properties = (elements.match(/@property\s+--[^{]*\{[^}]*\}/g) ?? []).join('\n');
  return { properties, elements, outputs: elements.replaceAll(':root', ':host') };
}

// Messages

/** Return eight random bytes as digits; `crypto.randomUUID` is missing in pages that are not served over HTTPS. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), byte => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Do something until it is stopped, each time after twice the time.
 * @param {() => void} act @param {number} patience
 * @returns {() => void} stops it
 */
export function repeated(act, patience = PATIENCE) {
  let wait = patience;
  const again = () => {
    act();
    timer = setTimeout(again, wait);
    wait = Math.min(wait * 2, LONGEST);
  };
  /** @type {ReturnType<typeof setTimeout>} */
  let timer;
  again();
  return () => clearTimeout(timer);
}

/** The line of this page to one kernel, over the newest of its carriers. */
export class Line {
  /** @type {Carrier[]} */
  carriers = [];
  /** @type {Map<string, (reply: [Message, Buffers] | null) => void>} */
  #waiting = new Map();
  #requests = 0;
  /** Static forms by placeholder, as they are to be saved. @type {Map<string, Bundle>} */
  forms = new Map();
  /** @type {Map<string, Drawn>} */
  drawn = new Map();

  /** @param {Page} page @param {string} key @param {string} assets */
  constructor(page, key, assets) {
    this.page = page;
    this.key = key;
    this.assets = assets;
  }

  get carrier() {
    return this.carriers.at(-1);
  }

  /** @param {Sent} message */
  send(message) {
    this.carrier?.send({ ...message, page: this.page.id });
  }

  /**
   * Ask the kernel until it answers; null if the line ends before.
   * @param {Sent} message @param {number} [patience]
   * @returns {Promise<[Message, Buffers] | null>}
   */
  ask(message, patience) {
    const req = `${this.page.id}-${++this.#requests}`;
    return new Promise(resolve => {
      const stop = repeated(() => this.send({ ...message, req }), patience);
      this.#waiting.set(req, reply => {
        stop();
        this.#waiting.delete(req);
        resolve(reply);
      });
    });
  }

  /** @param {Message} message @param {Buffers} buffers */
  receive(message, buffers) {
    switch (message.type) {
      case 'html':
      case 'assets':
        return this.#waiting.get(message.req)?.([message, buffers]);
      case 'notification':
        if (message.except !== this.page.id) this.page.frontEnd?.receive(message.op, message.data);
        return;
      case 'static':
        this.forms.set(message.out, message.data);
        return saveForms(this.carrier?.notebook(), this.page.lines);
      case 'outputs':
        if (message.except === this.page.id) return; // it gets them as the replies to its own requests
        return showOutputs(this.carrier?.notebook(), message.cell, message.outputs);
    }
  }

  close() {
    for (const answer of [...this.#waiting.values()]) answer(null);
  }
}

/**
 * Show the outputs of a cell that another page ran: JupyterLab drops what comes later for those.
 * @param {Notebook | null | undefined} notebook @param {string} id @param {Output[]} outputs
 */
export function showOutputs(notebook, id, outputs) {
  for (const cell of notebook?.cells ?? []) {
    if (cell.id !== id || !cell.outputs) continue;
    if (JSON.stringify(cell.outputs.toJSON()) !== JSON.stringify(outputs)) cell.outputs.fromJSON(outputs);
  }
}

const SAVING = Symbol('saves static forms');

/**
 * Have a notebook saved with the static forms as they are now, while the page goes on with live ones. Redrawing an output
 * instead would end a drag, or close what is open.
 * @param {(Notebook & {[SAVING]?: boolean}) | null | undefined} notebook @param {Map<string, Line>} lines
 */
export function saveForms(notebook, lines) {
  if (!notebook || notebook[SAVING]) return;
  notebook[SAVING] = true;
  const toJSON = notebook.toJSON.bind(notebook);
  notebook.toJSON = () => {
    const json = toJSON();
    for (const cell of json.cells) for (const output of cell.outputs ?? []) present(output, lines);
    return json;
  };
}

/** @param {Output} output @param {Map<string, Line>} lines */
function present(output, lines) {
  const html = [output.data?.['text/html'] ?? ''].flat().join('');
  const [, tag] = /<div ([^>]*\bclass="mkb-live"[^>]*)>/.exec(html) ?? [];
  if (!tag) return;
  const [key, out] = ['kernel', 'out'].map(name => new RegExp(`data-mkb-${name}="([^"]*)"`).exec(tag)?.[1] ?? '');
  const form = lines.get(key)?.forms.get(out);
  if (form) output.data = { ...output.data, ...form };
}

// The page

/** @param {string} id an element's, with the kernel's key */
const keyOf = id => id.slice(0, id.indexOf('~'));
/** @param {string} id */
const without = id => id.slice(id.indexOf('~') + 1);

/** What all kernels of a page share: custom elements are defined once. */
class Page {
  id = randomId();
  /** By the kernel's key. @type {Map<string, Line>} */
  lines = new Map();
  /** @type {FrontEnd | null} */
  frontEnd = null;
  /** @type {WeakMap<Element, string>} */
  #seen = new WeakMap();
  #placeholders = /** @type {HTMLCollectionOf<HTMLElement>} */ (document.getElementsByClassName('mkb-live'));

  constructor() {
    let due = false;
    new MutationObserver(() => {
      if (due) return;
      due = true;
      queueMicrotask(() => {
        due = false;
        this.scan();
      });
    }).observe(document.body, { childList: true, subtree: true });
    // JupyterLab's shortcuts may come first, while the event is on its way down. It sees the placeholder as the target.
    const suppress = (/** @type {KeyboardEvent} */ event) => {
      const { target } = event;
      if (!(target instanceof HTMLElement) || !target.classList.contains('mkb-live')) return;
      target.toggleAttribute('data-lm-suppress-shortcuts', isForElement(event));
    };
    window.addEventListener('keydown', suppress, true);
  }

  /** Draw what is not drawn yet. */
  scan() {
    for (const place of [...this.#placeholders]) {
      const { mkbKernel = '', mkbOut = '' } = place.dataset;
      const line = this.lines.get(mkbKernel);
      const shown = `${mkbKernel} ${mkbOut}`;
      if (!line || this.#seen.get(place) === shown) continue;
      this.#seen.set(place, shown);
      void this.#draw(place, line, mkbOut);
    }
  }

  /** Start the front end before there is something to draw: it takes a second or more. @param {Line} line */
  prepare(line) {
    const start = () => void (this.lines.get(line.key) === line && this.#frontEnd(line).isReady(line));
    if ('requestIdleCallback' in globalThis) requestIdleCallback(start, { timeout: PATIENCE });
    else setTimeout(start); // Safari
  }

  /** @param {Line} line */
  #frontEnd(line) {
    return (this.frontEnd ??= new FrontEnd(this, line.assets));
  }

  /** @param {HTMLElement} place @param {Line} line @param {string} out */
  async #draw(place, line, out) {
    const reply = await line.ask({ type: 'get', out });
    if (!reply) return void this.#seen.delete(place); // the line ended
    const [{ html, values }] = reply;
    if (html === null) return hideNatives(place, false); // it is not there any more
    const frontEnd = this.#frontEnd(line);
    if (!(await frontEnd.isReady(line))) return hideNatives(place, false);
    const before = line.drawn.get(out);
    const drawn = before && before.html === html && !before.host.isConnected ? before : frontEnd.draw(html, values);
    line.drawn.set(out, drawn);
    const shadow = place.shadowRoot ?? place.attachShadow({ mode: 'open' });
    shadow.adoptedStyleSheets = [frontEnd.sheet];
    shadow.replaceChildren(drawn.theme);
    hideNatives(place, true);
  }

  /** A kernel is gone. @param {Line} line */
  leave(line) {
    line.close();
    this.lines.delete(line.key);
    this.showStatic(line);
  }

  /** The static forms stand again where a kernel's elements were. @param {Line} line */
  showStatic(line) {
    for (const place of this.#placeholders) {
      if (place.dataset.mkbKernel !== line.key || !place.shadowRoot) continue;
      place.shadowRoot.replaceChildren(document.createElement('slot'));
      hideNatives(place, false);
      this.#seen.delete(place);
    }
  }
}

/**
 * Whether a key pressed in an element is not for the page: `dd` deletes no cell, Ctrl+A selects no cells, but Ctrl+S saves.
 * @param {KeyboardEvent} event
 */
export function isForElement({ ctrlKey, metaKey, key }) {
  return (!ctrlKey && !metaKey) || /^([acvxyz/]|Enter|Backspace|Delete|Home|End|Arrow\w+)$/i.test(key);
}

/**
 * A chart comes with its native form after it, for pages without us. One with scripts waits in a template to be shown.
 * @param {HTMLElement} place @param {boolean} hidden
 */
function hideNatives(place, hidden) {
  const { mkbKernel, mkbOut } = place.dataset;
  if (!hidden) for (const form of document.querySelectorAll(`[data-mkb-native="${mkbKernel}-${mkbOut}"]`)) form.dispatchEvent(new Event('mkb-static'));
  let next = place.closest('.jp-OutputArea-child')?.nextElementSibling;
  for (let left = Number(place.dataset.mkbHides ?? 0); left > 0 && next; left--, next = next.nextElementSibling) {
    /** @type {HTMLElement} */ (next).style.display = hidden ? 'none' : '';
  }
}

/** marimo's front end in this page, of one version. */
class FrontEnd {
  sheet = new CSSStyleSheet();
  /** @type {Map<string, string>} */
  #texts = new Map();
  /** @type {Map<string, string>} */
  #urls = new Map();
  #host = '';
  /** @type {{receive(text: string): void} | null} */
  #socket = null;
  /** Notifications from before there is a socket. @type {string[]} */
  #early = [];
  /** Files that the kernel was asked for, by name. @type {Map<string, Promise<unknown>>} */
  #coming = new Map();
  /** @type {Promise<void> | null} */
  #started = null;
  /** What the chunks have in place of the page's own. @type {{[name: string]: any}} */
  #scope = {};

  /** @param {Page} page @param {string} assets */
  constructor(page, assets) {
    this.page = page;
    this.assets = assets;
  }

  /** Start it once; false if it cannot run here, which the kernel is told. @param {Line} line */
  async isReady(line) {
    try {
      if (line.assets !== this.assets) throw new Error(`The page runs the front end of ${this.assets}; reload it.`);
      await (this.#started ??= this.#start(line));
      return true;
    } catch (error) {
      fail(line, error);
      return false;
    }
  }

  /**
   * Elements can be drawn when its entry has run. What connects it to its server is more of its files, and comes after.
   * @param {Line} line
   */
  async #start(line) {
    const head = await this.#load(line, null);
    if (head.later.length) this.#ask(line, head.later);
    const texts = head.css.map(name => this.#texts.get(name) ?? '');
    const { properties, elements, outputs } = styles(texts.join('\n'));
    this.sheet.replaceSync(outputs);
    document.head.append(sheet(`${properties}\n${RAISED}`), Object.assign(sheet(elements), { title: 'marimo', media: 'not all' }));
    const body = document.createElement('div'); // in place of the page's, where theme and locks would show
    const root = document.createElement('div');
    const filename = Object.assign(document.createElement('marimo-filename'), { textContent: 'notebook.py' });
    const stage = Object.assign(document.createElement('div'), { hidden: true });
    stage.append(body, root, filename);
    document.body.append(stage);
    followTheme(kind => {
      body.dataset.vscodeThemeKind = kind; // marimo's own switch: popovers then open inside the output, too
      for (const place of document.getElementsByClassName('mkb-live')) {
        const theme = place.shadowRoot?.firstElementChild;
        if (theme?.localName === 'div') theme.className = themeClass(kind);
      }
    });
    const own = /** @type {{[name: string]: any}} */ ({});
    const connected = new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error('The front end did not connect.')), LONGEST);
      Object.assign(this.#scope, {
        body,
        root,
        icon: document.createElement('link'),
        __MARIMO_MOUNT_CONFIG__: head.mount,
        history: { replaceState() {}, pushState() {} },
        names: new Proxy(own, { get: (_, name) => own[String(name)] ?? Reflect.get(globalThis, name) }),
        chunk: (/** @type {string} */ name) => this.#chunk(name),
        fetch: (/** @type {RequestInfo | URL} */ input, /** @type {RequestInit} */ init) => this.#fetch(input, init),
        WebSocket: socketClass(socket => {
          this.#socket = socket;
          for (const text of [head.ready, ...this.#early]) socket.receive(text);
          this.#early = [];
          resolve(null);
        })
      });
    });
    const tellValues = heldValues();
    connected.then(tellValues, error => {
      this.#started = Promise.reject(error);
      for (const one of this.page.lines.values()) {
        fail(one, error);
        this.page.showStatic(one);
      }
    });
    this.#host = blobUrl('export const page = {};');
    Object.assign((await import(/* webpackIgnore: true */ this.#host)).page, this.#scope);
    await import(/* webpackIgnore: true */ this.#url(head.entry));
    this.registry = own._marimo_private_UIElementRegistry;
    if (!this.registry) throw new Error('The front end has no registry of elements.');
  }

  /**
   * @param {string} html @param {{[id: string]: unknown}} values
   * @returns {Drawn}
   */
  draw(html, values) {
    for (const [id, value] of Object.entries(values)) {
      const known = this.registry.entries.get(id);
      if (known) known.value = value;
      else this.registry.set(id, value);
    }
    const host = document.createElement('div');
    host.className = 'marimo';
    host.style.position = 'relative';
    host.dataset.vscodeOutputContainer = ''; // where its popovers open
    host.innerHTML = html;
    for (const type of ['keydown', 'keyup', 'keypress']) {
      host.addEventListener(type, event => isForElement(/** @type {KeyboardEvent} */ (event)) && event.stopPropagation());
    }
    host.addEventListener('contextmenu', event => event.stopPropagation());
    const theme = document.createElement('div'); // dark is half white unless its class stands above .marimo
    theme.className = themeClass(themeOf(document.body));
    theme.append(host);
    return { html, host, theme };
  }

  /** A notification of marimo's for its front end. @param {string} op @param {unknown} data JSON, as text or parsed */
  receive(op, data) {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    const notification = `{"op": ${JSON.stringify(op)}, "data": ${text}}`;
    if (this.#socket) this.#socket.receive(notification);
    else this.#early.push(notification);
  }

  /** @param {string} name */
  async #chunk(name) {
    await Promise.allSettled(this.#coming.values());
    if (!this.#urls.has(name) && !this.#texts.has(name)) {
      const line = [...this.page.lines.values()].filter(one => one.assets === this.assets).at(-1);
      if (!line) throw new Error(`No kernel has ${name}.`);
      await this.#load(line, [name]);
    }
    return import(/* webpackIgnore: true */ this.#url(name));
  }

  /** Have files come that will be needed. @param {Line} line @param {string[]} names */
  #ask(line, names) {
    const [key = ''] = names;
    const coming = this.#load(line, names).finally(() => this.#coming.delete(key));
    coming.catch(() => undefined); // it is asked for again
    this.#coming.set(key, coming);
  }

  /** Depth first: no chunks import each other in a circle. @param {string} name @returns {string} */
  #url(name) {
    const known = this.#urls.get(name);
    if (known) return known;
    const text = this.#texts.get(name);
    if (text === undefined) throw new Error(`The kernel did not send ${name}.`);
    const url = blobUrl(rewritten(name, text, chunk => this.#url(chunk), this.#host));
    this.#urls.set(name, url);
    this.#texts.set(name, '');
    return url;
  }

  /**
   * Get files from the cache of the browser, else from the kernel.
   * @param {Line} line @param {string[] | null} names null: those of the start
   */
  async #load(line, names) {
    const address = `${SERVER}${LOADER}/${encodeURIComponent(this.assets)}/${(names ?? ['start']).join('+')}`;
    // There is none in pages that are not served over HTTPS, or whose storage is blocked.
    const cache = await globalThis.caches?.open('marimo-kernel-bridge').catch(() => null);
    const kept = await cache?.match(address).catch(() => undefined);
    /** @type {Assets} */
    let head;
    /** @type {Blob[]} */
    let packed;
    if (kept) {
      head = JSON.parse(kept.headers.get('x-head') ?? '');
      const all = await kept.blob();
      let from = 0;
      packed = head.sizes.map(size => all.slice(from, (from += size)));
    } else {
      const reply = await line.ask({ type: 'assets', names }, ASSETS_PATIENCE);
      if (!reply) throw new Error('The kernel went away.');
      head = /** @type {any} */ (reply[0]);
      packed = reply[1].map(part => new Blob([/** @type {BlobPart} */ (part)]));
      const response = new Response(new Blob(packed), { headers: { 'x-head': JSON.stringify(head).replace(/[^ -~]/g, escaped) } });
      void cache?.put(address, response).catch(() => undefined); // it is full
    }
    const parts = await Promise.all(packed.map(unpacked));
    parts.forEach((bytes, number) => {
      let from = 0;
      for (const [name, size] of head.parts[number] ?? []) {
        if (!this.#urls.has(name)) this.#texts.set(name, DECODER.decode(bytes.subarray(from, from + size)));
        from += size;
      }
    });
    return head;
  }

  /**
   * The front end's requests to its server, which is the kernel.
   * @param {RequestInfo | URL} input @param {RequestInit} [init]
   */
  async #fetch(input, init) {
    const url = input instanceof Request ? input.url : String(input);
    if (OTHERS.test(url)) return new Response(null, { status: 404 }); // icons and the like
    if (!url.startsWith(SERVER)) return globalThis.fetch(input, init);
    const text = init?.body ?? (input instanceof Request ? await input.text() : '');
    const { pathname } = new URL(url);
    const lines = this.page.lines;
    if (pathname === '/api/kernel/set_ui_element_value') {
      const { objectIds, values } = JSON.parse(String(text));
      for (const [key, line] of lines) {
        const changed = objectIds.flatMap((/** @type {string} */ id, /** @type {number} */ index) => (keyOf(id) === key ? [[without(id), values[index]]] : []));
        if (changed.length) line.send({ type: 'set', values: changed });
      }
    } else if (pathname === '/api/kernel/function_call') {
      const { functionCallId, namespace, functionName, args } = JSON.parse(String(text));
      const call = { call: functionCallId, namespace: without(namespace), name: functionName, args };
      lines.get(keyOf(namespace))?.send({ type: 'call', ...call });
    } // else there is nothing to do: widgets have Jupyter's own comms
    const body = pathname === '/health' || pathname === '/api/status' ? { status: 'healthy' } : null;
    return new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
  }
}

const DECODER = new TextDecoder();

/** @param {Blob} packed */
async function unpacked(packed) {
  const stream = packed.stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Tell a kernel, and who looks at the console, why its elements are static. @param {Line} line @param {unknown} error */
function fail(line, error) {
  const reason = String(error).slice(0, 500);
  line.send({ type: 'failed', reason });
  console.info(`marimo-kernel-bridge: elements stay static. ${reason}`);
}

/**
 * Note which elements a person sets while the front end, which then sends the values, does not listen yet.
 * @returns {() => void} tells it
 */
export function heldValues() {
  /** @type {Set<string>} */
  const ids = new Set();
  const note = (/** @type {Event} */ event) => void ids.add(/** @type {CustomEvent} */ (event).detail.objectId);
  document.addEventListener(VALUE_READY, note);
  return () => {
    document.removeEventListener(VALUE_READY, note);
    for (const objectId of ids) document.dispatchEvent(new CustomEvent(VALUE_READY, { detail: { objectId } }));
  };
}

/** @param {string} character */
function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** @param {string} text */
function blobUrl(text) {
  return URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
}

/** @param {string} css */
function sheet(css) {
  return Object.assign(document.createElement('style'), { textContent: css });
}

/**
 * Return a class of sockets that are connected at once, whose messages we write.
 * @param {(socket: EventTarget & {receive(text: string): void}) => void} opened
 */
function socketClass(opened) {
  return class extends EventTarget {
    static CONNECTING = 0;
    static OPEN = 1;
    static CLOSING = 2;
    static CLOSED = 3;
    CONNECTING = 0;
    OPEN = 1;
    CLOSING = 2;
    CLOSED = 3;
    readyState = 0;
    bufferedAmount = 0;
    extensions = '';
    protocol = '';
    binaryType = 'blob';
    /** @type {((event: Event) => void) | null} */
    onopen = null;
    /** @type {((event: Event) => void) | null} */
    onmessage = null;

    /** @param {string | URL} url */
    constructor(url) {
      super();
      this.url = String(url);
      setTimeout(() => {
        this.readyState = 1;
        this.#fire(new Event('open'));
        opened(this);
      });
    }

    /** @param {string} text */
    receive(text) {
      this.#fire(new MessageEvent('message', { data: text }));
    }

    send() {}

    close() {
      this.readyState = 3;
    }

    /** @param {Event} event */
    #fire(event) {
      (event.type === 'open' ? this.onopen : this.onmessage)?.(event);
      this.dispatchEvent(event);
    }
  };
}

// The theme

/** @param {HTMLElement} body */
export function themeOf({ dataset }) {
  return dataset.vscodeThemeKind ?? (dataset.jpThemeLight === 'false' ? 'vscode-dark' : 'vscode-light');
}

/** @param {string} kind */
function themeClass(kind) {
  return kind.includes('light') ? 'contents light light-theme' : 'contents dark dark-theme';
}

/** Tell the theme of the page, now and whenever it changes. @param {(kind: string) => void} tell */
function followTheme(tell) {
  const { body } = document;
  new MutationObserver(() => tell(themeOf(body))).observe(body, { attributeFilter: ['data-jp-theme-light', 'data-vscode-theme-kind'] });
  tell(themeOf(body));
}

// Carriers

/** Each kernel brings this file, and an extension has it: they share one page. */
const PAGE = Symbol.for(`marimo_kernel_bridge.live.${LOADER}`);

/**
 * Connect this page to a kernel.
 * @param {Carrier} carrier
 * @returns {Connection}
 */
export function connect(carrier) {
  const shared = /** @type {{[PAGE]?: Page}} */ (globalThis);
  const page = (shared[PAGE] ??= new Page());
  /** @type {Line | null} */
  let line = null;
  const stop = repeated(() => carrier.send({ type: 'hello', page: page.id, loader: LOADER }));
  return {
    receive(message, buffers = []) {
      if (message.type !== 'welcome') return line?.carrier === carrier ? line.receive(message, buffers) : undefined;
      stop();
      if (line) return; // the answer to a greeting that was repeated
      line = page.lines.get(message.key) ?? new Line(page, message.key, message.assets);
      line.carriers.push(carrier);
      page.lines.set(message.key, line);
      page.scan();
      if (carrier.expects) page.prepare(line);
    },
    close() {
      stop();
      if (!line) return;
      line.carriers = line.carriers.filter(one => one !== carrier);
      if (!line.carrier) page.leave(line);
      else line.send({ type: 'hello', loader: LOADER });
    }
  };
}

/** An anywidget without a view. */
export default {
  /** @param {{model: any}} context */
  initialize({ model }) {
    const { receive, close } = connect({
      send: message => model.send(message),
      notebook: () => model.widget_manager?.context?.model
    });
    model.on('msg:custom', receive);
    return () => {
      model.off('msg:custom', receive);
      close();
    };
  },
  render() {}
};
