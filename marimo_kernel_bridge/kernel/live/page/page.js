/** A page in a browser: finds the placeholders on it, and draws marimo's elements in them while their kernel is there. */
import { newestKept } from './files.js';
import { FrontEnd } from './frontend.js';
import { isForElement } from './keys.js';
import { Line, LONGEST, randomId } from './lines.js';
import { steadyOutputs } from './steady.js';

const SOON = 200; // ms in which the browser may find time by itself

/** What all kernels of a page share: custom elements are defined once. */
export class Page {
  id = randomId();
  /** By the kernel's key. @type {Map<string, Line>} */
  lines = new Map();
  /** @type {FrontEnd | null} */
  frontEnd = null;
  /** @type {{assets: string, resolve: (line: Line) => void}[]} */
  #wanted = [];
  /** What shows notebooks of which it is not known yet which kernel they have. @type {Set<Node>} */
  #unknown = new Set();
  /** @type {WeakMap<Element, string>} */
  #seen = new WeakMap();
  #placeholders = /** @type {HTMLCollectionOf<HTMLElement>} */ (document.getElementsByClassName('mkb-live'));

  constructor() {
    let due = false;
    const steady = steadyOutputs();
    new MutationObserver(records => {
      steady(records);
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

  /**
   * It will be known soon which kernel a notebook has: until then, the native forms of its charts wait.
   * @param {Node} root @returns {() => void} to be called when it is known
   */
  expectKernel(root) {
    this.#unknown.add(root);
    const known = () => {
      clearTimeout(timer);
      this.#unknown.delete(root);
    };
    const timer = setTimeout(known, LONGEST);
    return known;
  }

  /** Whether a native form has to wait because it is not known yet whether its chart will be live. @param {Node} form */
  waits(form) {
    return [...this.#unknown].some(root => root.contains(form));
  }

  /** There is a kernel. @param {Line} line */
  add(line) {
    this.lines.set(line.key, line);
    const found = this.#wanted.filter(({ assets }) => assets === line.assets);
    this.#wanted = this.#wanted.filter(one => !found.includes(one));
    for (const { resolve } of found) resolve(line);
  }

  /** Return the newest line to a kernel that has these files, once there is one. @param {string} assets @returns {Promise<Line>} */
  lineFor(assets) {
    const line = [...this.lines.values()].filter(one => one.assets === assets).at(-1);
    return line ? Promise.resolve(line) : new Promise(resolve => this.#wanted.push({ assets, resolve }));
  }

  /** Have the front end that ran last ready to run, before any kernel says which one it has. */
  async warmUp() {
    const assets = this.frontEnd ? null : await newestKept();
    if (assets && !this.frontEnd) await this.#frontEnd(assets).warmUp();
  }

  /** Start the front end before there is something to draw: it takes a second or more. @param {string} assets */
  prepare(assets) {
    const start = () => {
      const frontEnd = this.#frontEnd(assets);
      if (frontEnd.assets === assets) frontEnd.start().catch(() => undefined); // those who need it are told
    };
    if ('requestIdleCallback' in globalThis) requestIdleCallback(start, { timeout: SOON });
    else setTimeout(start); // Safari
  }

  /** @param {string} assets */
  #frontEnd(assets) {
    if (this.frontEnd && this.frontEnd.assets !== assets && !this.frontEnd.runs) {
      this.frontEnd.drop();
      this.frontEnd = null;
    }
    return (this.frontEnd ??= new FrontEnd(this, assets));
  }

  /** @param {HTMLElement} place @param {Line} line @param {string} out */
  async #draw(place, line, out) {
    const frontEnd = this.#frontEnd(line.assets);
    const ready = frontEnd.isReady(line); // both take their time
    const reply = await line.ask({ type: 'get', out });
    if (!reply) return void this.#seen.delete(place); // the line ended
    const [{ html, values }] = reply;
    if (html === null) return hideNatives(place, false); // it is not there any more
    if (!(await ready)) return hideNatives(place, false);
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
