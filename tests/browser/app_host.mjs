// A host of MCP Apps as ext-apps makes one: its AppBridge and its transport, around a frame without an origin of its own. What the
// bridge asks goes to the functions that the test exposes: `callTool`, and `toolOf` for the list of tools and the page.
import {
  AppBridge,
  PostMessageTransport,
  getToolUiResourceUri,
  isToolVisibilityAppOnly,
} from "@modelcontextprotocol/ext-apps/app-bridge";

const log = { contexts: [], calls: [], sizes: [], downloads: [] };
globalThis.log = log;

const CSP = `default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'none'`;

globalThis.sorted = (tools) => ({
  forModel: tools.filter((tool) => !isToolVisibilityAppOnly(tool)).map((tool) => tool.name),
  forApp: tools.filter(isToolVisibilityAppOnly).map((tool) => tool.name),
  pages: Object.fromEntries(tools.map((tool) => [tool.name, getToolUiResourceUri(tool)]).filter(([, uri]) => uri)),
});

/** Show a page, and give it a call of a tool and its result. */
globalThis.show = async (html, args, result, theme) => {
  const frame = Object.assign(document.createElement("iframe"), { sandbox: "allow-scripts", title: "view" });
  frame.style.cssText = "width: 100%; height: 600px; border: 0";
  document.body.append(frame);
  const capabilities = { serverTools: {}, updateModelContext: { text: {} }, downloadFile: {} };
  const context = { theme, displayMode: "inline", availableDisplayModes: ["inline", "fullscreen"] };
  const bridge = new AppBridge(null, { name: "host", version: "1" }, capabilities, { hostContext: context });
  globalThis.bridge = bridge;
  bridge.oncalltool = async (params) => {
    log.calls.push(params.name);
    return await globalThis.callTool(params.name, params.arguments);
  };
  bridge.onupdatemodelcontext = async (params) => {
    log.contexts.push(params.content?.[0]?.text);
    return {};
  };
  bridge.ondownloadfile = async (params) => {
    log.downloads.push(params.contents);
    return {};
  };
  bridge.onsizechange = (size) => log.sizes.push(size);
  const initialized = new Promise((done) => (bridge.oninitialized = done));
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  frame.srcdoc = html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${CSP}">`);
  await initialized;
  await bridge.sendToolInput({ arguments: args });
  await bridge.sendToolResult(result);
};
