/** The line between this page and one kernel: requests that are repeated until they are answered, over the newest of its carriers. */
/** @import {Buffers, Bundle, Carrier, Message, Sent} from './messages.js' */
import { inParts } from './messages.js';
import { saveForms, showOutputs } from './notebooks.js';

const PATIENCE = 1_000; // ms until a request is repeated; doubles each time
export const LONGEST = 60_000;

/**
 * What a line knows of its page.
 * @typedef {{id: string, lines: Map<string, Line>, frontEnd: {receive(op: string, data: unknown): void} | null}} Page
 * @typedef {{html: string, host: HTMLElement, theme: HTMLElement}} Drawn an element on the page
 */

/** Return eight random bytes as digits; `crypto.randomUUID` is missing in pages that are not served over HTTPS. */
export function randomId() {
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
  #sent = 0;
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
    const { carrier, page } = this;
    if (!carrier) return;
    for (const one of inParts({ ...message, page: page.id }, page.id, `${++this.#sent}`)) carrier.send(one);
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
