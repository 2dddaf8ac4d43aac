/** marimo's front end in this page: started once, with the kernel as its server, and told what the kernel says. */
/** @import {Drawn, Line} from './lines.js' */
import { Files, keepNewest } from './files.js';
import { isForElement } from './keys.js';
import { LONGEST } from './lines.js';
import { boundaryOf, RAISED } from './overlays.js';
import { styles } from './rewriting.js';
import { answered, socketClass, TextRequest } from './server.js';
import { followTheme, themeClass, themeOf } from './theme.js';

const VALUE_READY = 'marimo-value-ready'; // a person has set an element

/**
 * The page that it runs in.
 * @typedef {{lines: Map<string, Line>, lineFor(assets: string): Promise<Line>, showStatic(line: Line): void}} Stage
 */

/** marimo's front end, of one version. */
export class FrontEnd {
  sheet = new CSSStyleSheet();
  /** Whether it has begun to run, which cannot be undone: it defines elements of the page. */
  runs = false;
  /** @type {Files} */
  #files;
  /** @type {{receive(text: string): void} | null} */
  #socket = null;
  /** Notifications from before there is a socket. @type {string[]} */
  #early = [];
  /** @type {Promise<void> | null} */
  #started = null;

  /** @param {Stage} page @param {string} assets */
  constructor(page, assets) {
    this.page = page;
    this.assets = assets;
    this.#files = new Files(assets, name => page.lineFor(name));
  }

  /** Have the browser do before what can be done before it is known whether the kernel has these files. */
  warmUp() {
    return this.#files.warmUp();
  }

  /** It will not run: the kernel has other files. */
  drop() {
    this.#files.drop();
  }

  /** Start it once, with the files of a kernel that are kept, or as soon as there is one. */
  start() {
    return (this.#started ??= this.#start());
  }

  /** Return once it is started; false if it cannot run here, which the kernel is told. @param {Line} line */
  async isReady(line) {
    try {
      if (line.assets !== this.assets) throw new Error(`The page runs the front end of ${this.assets}; reload it.`);
      await this.start();
      return true;
    } catch (error) {
      fail(line, error);
      return false;
    }
  }

  /**
   * Elements can be drawn when its entry has run. What connects it to its server is more of its files, and comes after.
   */
  async #start() {
    const files = this.#files;
    const head = await files.start();
    if (files.dropped) throw new Error(`The page needs no front end of ${this.assets}.`);
    this.runs = true;
    files.ask(head.later);
    const { properties, overlays, elements, outputs } = styles(head.css.map(name => files.css(name)).join('\n'));
    this.sheet.replaceSync(outputs);
    document.head.append(sheet(`${properties}\n${overlays}\n${RAISED}`), Object.assign(sheet(elements), { title: 'marimo', media: 'not all' }));
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
    const scope = /** @type {{[name: string]: any}} */ ({}); // what the chunks have in place of the page's own
    const connected = new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error('The front end did not connect.')), LONGEST);
      Object.assign(scope, {
        body,
        root,
        icon: document.createElement('link'),
        __MARIMO_MOUNT_CONFIG__: head.mount,
        history: { replaceState() {}, pushState() {} },
        boundary: boundaryOf,
        names: new Proxy(own, { get: (_, name) => own[String(name)] ?? Reflect.get(globalThis, name) }),
        chunk: (/** @type {string} */ name) => files.chunk(name).then(url => import(/* webpackIgnore: true */ url)),
        fetch: (/** @type {RequestInfo | URL} */ input, /** @type {RequestInit} */ init) => answered(this.page.lines, input, init),
        Request: TextRequest,
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
    Object.assign((await import(/* webpackIgnore: true */ files.host)).page, scope);
    await import(/* webpackIgnore: true */ files.url(head.entry));
    this.registry = own._marimo_private_UIElementRegistry;
    if (!this.registry) throw new Error('The front end has no registry of elements.');
    void keepNewest(this.assets).catch(() => undefined);
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

/** @param {string} css */
function sheet(css) {
  return Object.assign(document.createElement('style'), { textContent: css });
}
