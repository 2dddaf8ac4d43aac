/** The server of marimo's front end, as far as it asks for one: its requests become messages to kernels, and kernels write on its socket. */
/** @import {Line} from './lines.js' */
import { SERVER } from './rewriting.js';

const OTHERS = /^https:\/\/(api\.(iconify\.design|simplesvg\.com|unisvg\.com)|cdn\.jsdelivr\.net|unpkg\.com)\//;

/** @param {string} id an element's, with the kernel's key */
const keyOf = id => id.slice(0, id.indexOf('~'));
/** @param {string} id */
const without = id => id.slice(id.indexOf('~') + 1);

/** A request that keeps the text of its body: to read that of another one waits until the browser has drawn what the person does. */
export class TextRequest extends Request {
  /** @type {string | undefined} */
  sent;

  /** @param {RequestInfo | URL} input @param {RequestInit} [init] */
  constructor(input, init) {
    super(input, init);
    if (typeof init?.body === 'string') this.sent = init.body;
    else if (input instanceof TextRequest && init?.body === undefined) this.sent = input.sent;
  }
}

/**
 * Answer a request of the front end to its server, which is the kernel.
 * @param {ReadonlyMap<string, Line>} lines by the kernel's key
 * @param {RequestInfo | URL} input @param {RequestInit} [init]
 */
export async function answered(lines, input, init) {
  const url = input instanceof Request ? input.url : String(input);
  if (OTHERS.test(url)) return new Response(null, { status: 404 }); // icons and the like
  if (!url.startsWith(SERVER)) return globalThis.fetch(input, init);
  const text = init?.body ?? (input instanceof TextRequest ? input.sent : undefined) ?? (input instanceof Request ? await input.text() : '');
  const { pathname } = new URL(url);
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

/**
 * Return a class of sockets that are connected at once, whose messages we write.
 * @param {(socket: EventTarget & {receive(text: string): void}) => void} opened
 */
export function socketClass(opened) {
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
