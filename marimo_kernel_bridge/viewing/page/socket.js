/** The carrier of a tab: one WebSocket, made anew when it breaks, with what was not answered asked again. */

import { $ } from "./dom.js";

const CLOSED = 1000; // on purpose: the view is closed
const SILENT = 10_000; // milliseconds, after a sleep

export class Socket {
  /** @type {(event: import("./types").ViewEvent) => void} */
  onEvent = () => {};
  /** @type {(connection: import("./types").Connection) => void} */
  onConnection = () => {};
  /** @type {Map<number, {text: string, done: (answer: any) => void, failed: (error: Error) => void}>} */
  waiting = new Map();
  last = 0;
  tries = 0;
  /** @type {WebSocket | null} */
  socket = null;
  /** @type {any} */
  timer = 0;

  constructor() {
    addEventListener("online", () => this.retry());
    // A socket that slept may be dead and not know it
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.probe());
    this.connect();
  }

  connect() {
    const socket = new WebSocket(new URL("ws", location.href).href.replace(/^http/, "ws"));
    this.socket = socket;
    socket.onopen = () => {
      this.tries = 0;
      this.onConnection("open");
      for (const { text } of this.waiting.values()) socket.send(text);
    };
    socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    socket.onclose = ({ code }) => this.lost(code);
  }

  /** @param {any} message */
  receive(message) {
    clearTimeout(this.timer);
    if (message.event) return this.onEvent(message);
    const request = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.error) request?.failed(Object.assign(new Error(message.error.message), { name: message.error.code }));
    else request?.done(message);
  }

  /** @param {number} code */
  async lost(code) {
    this.socket = null;
    if (code === CLOSED) return this.onConnection("closed");
    this.tries += 1;
    // A server that answers and refuses the socket knows the view no more
    if (this.tries > 2 && (await this.isAlive())) return this.onConnection("closed");
    this.onConnection(this.tries > 6 ? "gone" : "lost");
    if (this.tries <= 6) this.timer = setTimeout(() => this.connect(), Math.min(10_000, 250 * 2 ** this.tries));
  }

  async isAlive() {
    try {
      return (await fetch(new URL("../../health", location.href), { cache: "no-store" })).ok;
    } catch {
      return false;
    }
  }

  retry() {
    if (this.socket) return;
    clearTimeout(this.timer);
    this.connect();
  }

  probe() {
    if (this.socket?.readyState !== WebSocket.OPEN) return this.retry();
    this.ask({ do: "news", since: 0 }).catch(() => {});
    this.timer = setTimeout(() => this.socket?.close(), SILENT);
  }

  /** @param {{do: string, [field: string]: unknown}} request */
  ask(request) {
    const id = ++this.last;
    const text = JSON.stringify({ id, ...request });
    return new Promise((done, failed) => {
      this.waiting.set(id, { text, done, failed });
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
    });
  }

  /** @param {string} _text a tab has no model */
  tell(_text) {}

  /** @param {{url?: string}} answer @param {string} name */
  async save({ url }, name) {
    const link = $("download");
    link.href = url;
    link.download = name;
    link.click();
  }
}
