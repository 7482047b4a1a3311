// Driver for the TypeScript SDK 2.x (`@modelcontextprotocol/client`): legacy (handshake), modern (2026-07-28, nothing else) or auto.
import { drive, fail, load, parse } from './common.mjs';

const { Client, StreamableHTTPClientTransport } = load('@modelcontextprotocol/client');
const { StdioClientTransport } = load('@modelcontextprotocol/client/stdio');

const modes = { legacy: 'legacy', modern: { pin: '2026-07-28' }, auto: 'auto' };
const [era, ...argv] = process.argv.slice(2);
const options = parse(argv);
const transport = options.url
  ? new StreamableHTTPClientTransport(new URL(options.url), { requestInit: { headers: options.headers } })
  : new StdioClientTransport({ command: 'sh', args: ['-c', `exec ${options.command}`], env: process.env });
const client = new Client({ name: `interop-ts2-${era}`, version: '1.0.0' }, { versionNegotiation: { mode: modes[era] } });
client.connect(transport).then(() => drive(client, options)).then(() => process.exit(0)).catch(fail);
