/**
 * The files of marimo's front end: from the browser's cache, else from a kernel. Each chunk gets an address on this page, and the browser
 * fetches and compiles it at once, which takes most of the time; nothing runs before it is imported.
 */
/** @import {Assets, Buffers, Message} from './messages.js' */
/** @import {Line} from './lines.js' */
import { escaped, LOADER } from './messages.js';
import { rewritten, SERVER } from './rewriting.js';

const ASSETS_PATIENCE = 8_000; // ms; they are megabytes, and VS Code takes seconds for them
const SLICE = 8; // ms of work at a time, beside a page that does other things
const CACHE = 'marimo-kernel-bridge';
const PREFIX = `${SERVER}${LOADER}/`;
const NEWEST = `${SERVER}newest`;
const DECODER = new TextDecoder();

/** There is none in pages that are not served over HTTPS, or whose storage is blocked. */
async function openedCache() {
  return globalThis.caches?.open(CACHE).catch(() => undefined);
}

/** Return the name of the files that are kept and were used last. */
export async function newestKept() {
  const kept = await (await openedCache())?.match(NEWEST).catch(() => undefined);
  return kept?.text();
}

/** The files of one version. */
export class Files {
  /** @type {Map<string, string>} */
  #texts = new Map();
  /** @type {Map<string, string>} */
  #urls = new Map();
  /** Packs that came or are coming, by the names that were asked for. @type {Map<string, Promise<Assets>>} */
  #packs = new Map();
  /** The module that has `mkbPage`. */
  host = blobUrl('export const page = {};');
  dropped = false;

  /** @param {string} assets @param {(assets: string) => Promise<Line>} lineFor gives the line to a kernel that has the files */
  constructor(assets, lineFor) {
    this.assets = assets;
    this.lineFor = lineFor;
  }

  /** Get the files of the start. */
  start() {
    return this.#pack(null);
  }

  /** Have files come that will be needed. @param {readonly string[]} names */
  ask(names) {
    if (names.length) this.#pack(names).catch(() => undefined); // it is asked for again
  }

  /** Get what is needed of the start and after it ready to run, a little at a time. */
  async warmUp() {
    const head = await this.start();
    await this.#prepare();
    if (!head.later.length) return;
    await this.#pack(head.later);
    await this.#prepare();
  }

  /** Give all chunks their addresses; the small ones first, which others import. */
  async #prepare() {
    const chunks = [...this.#texts].filter(([name]) => name.endsWith('.js')).sort(([, one], [, other]) => one.length - other.length);
    let until = performance.now() + SLICE;
    for (const [name] of chunks) {
      if (this.dropped) return;
      this.url(name);
      if (performance.now() < until) continue;
      await new Promise(resolve => setTimeout(resolve));
      until = performance.now() + SLICE;
    }
  }

  /** Return the address of a chunk that may have to come first. @param {string} name */
  async chunk(name) {
    await Promise.allSettled(this.#packs.values());
    if (!this.#urls.has(name) && !this.#texts.has(name)) await this.#pack([name]);
    return this.url(name);
  }

  /** Return a style sheet of the start. @param {string} name */
  css(name) {
    return this.#texts.get(name) ?? '';
  }

  /** Return the address of a chunk that is there. Depth first: no chunks import each other in a circle. @param {string} name @returns {string} */
  url(name) {
    const known = this.#urls.get(name);
    if (known) return known;
    const text = this.#texts.get(name);
    if (text === undefined) throw new Error(`The kernel did not send ${name}.`);
    const url = blobUrl(rewritten(name, text, chunk => this.url(chunk), this.host));
    this.#urls.set(name, url);
    this.#texts.delete(name);
    preload(url);
    return url;
  }

  /** Other files are used. */
  drop() {
    this.dropped = true;
    this.#texts.clear();
    for (const url of [this.host, ...this.#urls.values()]) URL.revokeObjectURL(url);
  }

  /** Once for the same names, unless it fails. @param {readonly string[] | null} names null: those of the start */
  #pack(names) {
    const key = (names ?? ['start']).join('+');
    const known = this.#packs.get(key);
    if (known) return known;
    const coming = this.#fromCache(names).then(kept => kept ?? this.#fromKernel(names));
    this.#packs.set(key, coming);
    coming.catch(() => this.#packs.delete(key));
    return coming;
  }

  /** @param {readonly string[] | null} names */
  #address(names) {
    return `${PREFIX}${encodeURIComponent(this.assets)}/${(names ?? ['start']).join('+')}`;
  }

  /** @param {readonly string[] | null} names @returns {Promise<Assets | null>} */
  async #fromCache(names) {
    const cache = await openedCache();
    const kept = await cache?.match(this.#address(names)).catch(() => undefined);
    if (!kept) return null;
    const head = JSON.parse(kept.headers.get('x-head') ?? '');
    const all = await kept.blob();
    let from = 0;
    const packed = head.sizes.map((/** @type {number} */ size) => all.slice(from, (from += size)));
    await this.#unpack(head, packed);
    return head;
  }

  /** @param {readonly string[] | null} names @returns {Promise<Assets>} */
  async #fromKernel(names) {
    /** @type {[Message, Buffers] | null} */
    let reply = null;
    while (!reply) {
      const line = await this.lineFor(this.assets);
      reply = await line.ask({ type: 'assets', names }, ASSETS_PATIENCE); // null: that kernel went away
    }
    const head = /** @type {any} */ (reply[0]);
    const packed = reply[1].map(part => new Blob([/** @type {BlobPart} */ (part)]));
    const response = new Response(new Blob(packed), { headers: { 'x-head': JSON.stringify(head).replace(/[^ -~]/g, escaped) } });
    void keep(this.#address(names), response).catch(() => undefined); // it is full
    await this.#unpack(head, packed);
    return head;
  }

  /** @param {Assets} head @param {Blob[]} packed */
  async #unpack(head, packed) {
    const parts = await Promise.all(packed.map(unpacked));
    parts.forEach((bytes, number) => {
      let from = 0;
      for (const [name, size] of head.parts[number] ?? []) {
        if (!this.#urls.has(name)) this.#texts.set(name, DECODER.decode(bytes.subarray(from, from + size)));
        from += size;
      }
    });
  }
}

/** Keep files in the browser's cache. @param {string} address @param {Response} response */
async function keep(address, response) {
  await (await openedCache())?.put(address, response);
}

/** Note that a front end has started, and keep the files of no other but the one before. @param {string} assets */
export async function keepNewest(assets) {
  const before = await newestKept();
  if (before === assets) return;
  const cache = await openedCache();
  await cache?.put(NEWEST, new Response(assets));
  const kept = [assets, before].map(name => `${PREFIX}${encodeURIComponent(name ?? '')}/`);
  for (const { url } of (await cache?.keys()) ?? []) {
    if (url !== NEWEST && !kept.some(prefix => url.startsWith(prefix))) await cache?.delete(url);
  }
}

/** @param {Blob} packed */
async function unpacked(packed) {
  const stream = packed.stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {string} text */
export function blobUrl(text) {
  return URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
}

/** Have the browser fetch and compile a module, as far as it can before it is imported. @param {string} url */
function preload(url) {
  const link = document.createElement('link');
  if (!link.relList?.supports('modulepreload')) return;
  link.rel = 'modulepreload';
  link.href = url;
  link.onload = link.onerror = () => link.remove();
  document.head.append(link);
}
