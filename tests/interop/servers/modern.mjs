// A small server of the TypeScript SDK 2.x over HTTP that speaks 2026-07-28, and the 2025 revisions too unless `only` is given: modern.mjs PORT [only]
import { createServer } from 'node:http';
import { load } from '../clients/common.mjs';

const { McpServer, createMcpHandler, fromJsonSchema } = load('@modelcontextprotocol/server');
const { toNodeHandler } = load('@modelcontextprotocol/node');

const object = (properties) => fromJsonSchema({ type: 'object', properties, required: Object.keys(properties) });

function server() {
  const mcp = new McpServer({ name: 'modern', version: '1.0.0' });
  mcp.registerTool('echo', { inputSchema: object({ message: { type: 'string' } }) }, ({ message }) => ({
    content: [{ type: 'text', text: `Echo: ${message}` }],
  }));
  const sum = { inputSchema: object({ a: { type: 'number' }, b: { type: 'number' } }), outputSchema: object({ sum: { type: 'number' } }) };
  mcp.registerTool('get-sum', sum, ({ a, b }) => ({
    content: [{ type: 'text', text: String(a + b) }],
    structuredContent: { sum: a + b },
  }));
  return mcp;
}

const [port = '0', only] = process.argv.slice(2);
const handler = toNodeHandler(createMcpHandler(server, { legacy: only ? 'reject' : 'stateless' }));
const http = createServer((request, response) => handler(request, response));
http.listen(Number(port), '127.0.0.1', () => console.error(`listening on http://127.0.0.1:${http.address().port}/mcp`));
