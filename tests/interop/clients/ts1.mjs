// Driver for the TypeScript SDK 1.x (`@modelcontextprotocol/sdk`).
import { drive, fail, load, parse } from './common.mjs';

const { Client } = load('@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport } = load('@modelcontextprotocol/sdk/client/stdio.js');
const { StreamableHTTPClientTransport } = load('@modelcontextprotocol/sdk/client/streamableHttp.js');

const options = parse(process.argv.slice(2));
const transport = options.url
  ? new StreamableHTTPClientTransport(new URL(options.url), { requestInit: { headers: options.headers } })
  : new StdioClientTransport({ command: 'sh', args: ['-c', `exec ${options.command}`], env: process.env });
const client = new Client({ name: 'interop-ts1', version: '1.0.0' });
client.connect(transport).then(() => drive(client, options)).then(() => process.exit(0)).catch(fail);
