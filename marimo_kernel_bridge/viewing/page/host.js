/**
 * The carrier of an MCP App: JSON-RPC with the host by `postMessage` (MCP Apps, 2026-01-26). Rows come by a tool that only
 * the app may call, so the model sees none. The frame opens no connection of its own.
 */

import { debounced } from "./dom.js";

const HEIGHT = 560;
const POLL = 2000; // milliseconds; the host pushes nothing of the view
const META = "marimo-kernel-bridge/view";

export class Host {
  /** @type {(event: import("./types").ViewEvent) => void} */
  onEvent = () => {};
  /** @type {(connection: import("./types").Connection) => void} */
  onConnection = () => {};
  /** @type {Map<number, [(result: any) => void, (error: Error) => void]>} */
  waiting = new Map();
  last = 0;
  news = 0;
  lost = false;
  /** @type {any} */
  capabilities = {};
  /** @type {undefined | (() => void)} */
  expand = undefined;
  /** @type {(opened: {view: string, key: string}) => void} */
  opened = () => {};
  /** @type {Promise<{view: string, key: string}>} */
  view = new Promise((done) => (this.opened = done));

  tell = debounced((/** @type {string} */ text) => {
    if (this.capabilities.updateModelContext)
      this.call("ui/update-model-context", { content: [{ type: "text", text }] }).catch(() => {});
  }, 800);

  constructor() {
    addEventListener("message", (event) => event.source === parent && this.receive(event.data));
    this.ready = this.begin();
    this.ready.then(() => this.poll());
  }

  async begin() {
    const answer = await this.call("ui/initialize", {
      protocolVersion: "2026-01-26",
      appInfo: { name: "marimo-kernel-bridge viewer", version: "1" },
      appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
    });
    this.capabilities = answer.hostCapabilities ?? {};
    this.context(answer.hostContext ?? {});
    this.post({ method: "ui/notifications/initialized", params: {} });
    if (answer.hostContext?.availableDisplayModes?.includes("fullscreen"))
      this.expand = () => this.call("ui/request-display-mode", { mode: "fullscreen" }).catch(() => {});
    this.onConnection("open");
  }

  /** @param {any} message */
  receive(message) {
    if (message?.jsonrpc !== "2.0") return;
    if (message.method === "ui/notifications/tool-result") {
      const view = message.params?.structuredContent?.view;
      if (view) this.opened({ view, key: message.params._meta?.[META]?.key ?? "" });
    } else if (message.method === "ui/notifications/host-context-changed") this.context(message.params);
    else if (message.method && message.id !== undefined) this.post({ id: message.id, result: {} });
    else if (!message.method) {
      const [done, failed] = this.waiting.get(message.id) ?? [];
      this.waiting.delete(message.id);
      if (message.error) failed?.(new Error(message.error.message));
      else done?.(message.result);
    }
  }

  /** @param {any} context what the host says of itself, or what has changed of it */
  context({ theme, styles, containerDimensions, displayMode }) {
    const root = document.documentElement;
    if (theme) root.dataset.theme = theme;
    for (const [name, value] of Object.entries(styles?.variables ?? {}))
      if (name.startsWith("--") && value) root.style.setProperty(name, value);
    if (displayMode) root.dataset.mode = displayMode;
    if (displayMode !== "fullscreen") {
      const height = containerDimensions?.height ?? Math.min(HEIGHT, containerDimensions?.maxHeight ?? HEIGHT);
      this.post({ method: "ui/notifications/size-changed", params: { height } });
    }
  }

  /** @param {object} message */
  post(message) {
    // To any origin: the frame's own is opaque and its host's unknown; what is said is the host's to know
    parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  }

  /** @param {string} method @param {object} params */
  call(method, params) {
    const id = ++this.last;
    return new Promise((/** @type {(result: any) => void} */ done, failed) => {
      this.waiting.set(id, [done, failed]);
      this.post({ id, method, params });
    });
  }

  /** @param {{do: string, [field: string]: unknown}} request */
  async ask(request) {
    await this.ready;
    const view = await this.view;
    const text = JSON.stringify({ id: ++this.last, ...request });
    const result = await this.call("tools/call", { name: "view_rows", arguments: { ...view, request: text } });
    const said = result.content?.[0]?.text ?? "";
    // "[no_such_view] There is no such view."
    const [, code = "refused", message = said] = /^\[(\w+)\] ([^]*)$/.exec(said) ?? [];
    if (result.isError) throw Object.assign(new Error(message), { name: code });
    const answer = JSON.parse(said);
    if (answer.error) throw Object.assign(new Error(answer.error.message), { name: answer.error.code });
    // What happened before is in the description
    if (request.do === "describe") this.news = Math.max(this.news, answer.n ?? 0);
    return answer;
  }

  async poll() {
    await this.view;
    for (;;) {
      await new Promise((done) => setTimeout(done, POLL));
      if (document.visibilityState !== "visible") continue;
      try {
        const { events, missed, n } = await this.ask({ do: "news", since: this.news });
        if (missed || this.lost) this.onConnection("open");
        this.lost = false;
        this.news = Math.max(this.news, n ?? 0);
        for (const event of events ?? []) this.onEvent(event);
      } catch (error) {
        this.lost = true;
        this.onConnection(/** @type {Error} */ (error).name === "no_such_view" ? "closed" : "lost");
      }
    }
  }

  retry() {}

  /** @param {{text?: string}} answer @param {string} name @param {string} mime */
  async save({ text = "" }, name, mime) {
    if (!this.capabilities.downloadFile) throw new Error("This host saves no files: copy the cells, or ask for a file.");
    const resource = { uri: `file:///${encodeURIComponent(name)}`, mimeType: mime, text };
    await this.call("ui/download-file", { contents: [{ type: "resource", resource }] });
  }
}
