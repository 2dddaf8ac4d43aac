// The TypeScript SDK's client, as a second implementation: joins a kernel and runs code, in one era of the protocol.
// node client.mjs URL MODE CONNECTION_FILE, with the token in MCP_TOKEN. Prints what it learnt, as JSON.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, mode, connectionFile] = process.argv.slice(2);
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${process.env.MCP_TOKEN}` } },
});
const client = new Client({ name: "typescript", version: "1" }, { versionNegotiation: { mode } });
await client.connect(transport);

async function call(name, args) {
  const answer = await client.callTool({ name, arguments: args });
  if (answer.isError) throw new Error(`${name}: ${answer.content[0].text}`);
  return answer;
}

const { tools } = await client.listTools();
await call("list_kernels", {});
const joined = await call("connect_to_kernel", { connection_file: connectionFile });
const kernel = joined.structuredContent.kernel;
const run = await call("execute_code", { kernel, code: "print('hi'); 6 * 7" });
const picture = await call("execute_code", {
  kernel,
  code: "from IPython.display import Image; Image(bytes.fromhex('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00050001ff89993d1d0000000049454e44ae426082'), format='png')",
});
await call("disconnect_kernel", { kernel });
await client.close();

console.log(
  JSON.stringify({
    tools: tools.map((tool) => tool.name),
    outputs: run.structuredContent.outputs,
    status: run.structuredContent.status,
    images: picture.content.filter((block) => block.type === "image").length,
  }),
);
