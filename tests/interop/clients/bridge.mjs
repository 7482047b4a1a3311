// Driver for the programs that stand between a client over stdio and a server over HTTP: mcp-remote, supergateway or mcp-proxy, with
// the TypeScript SDK 1.x in front of it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from './common.mjs';

const [name, ...argv] = process.argv.slice(2);
const options = parse(argv);
if (!options.url) {
  console.error('it goes to a --url; see README.md');
  process.exit(2);
}
const { INTEROP_DIR } = process.env;
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const headers = (write) => Object.entries(options.headers).flatMap(([key, value]) => write(key, value));
const bin = (path) => [process.execPath, join(INTEROP_DIR, 'node_modules', path)];
const commands = {
  'mcp-remote': [
    ...bin('.bin/mcp-remote'), options.url, '--transport', 'http-only', '--allow-http', '--silent',
    ...headers((key, value) => ['--header', `${key}:${value}`]),
  ],
  supergateway: [
    ...bin('.bin/supergateway'), '--streamableHttp', options.url, '--logLevel', 'none',
    ...headers((key, value) => ['--header', `${key}: ${value}`]),
  ],
  'mcp-proxy': [
    join(INTEROP_DIR, 'py1/bin/mcp-proxy'), '--transport', 'streamablehttp',
    ...headers((key, value) => ['--headers', key, value]), options.url,
  ],
};
const home = mkdtempSync(join(tmpdir(), 'interop-bridge-'));
const driver = new URL('ts1.mjs', import.meta.url).pathname;
const rest = argv.slice(argv.findIndex((word) => !word.startsWith('--') && ['list', 'call', 'session'].includes(word)));
const run = spawnSync(process.execPath, [driver, '--command', commands[name].map(quoted).join(' '), ...rest], {
  stdio: ['inherit', 'inherit', 'pipe'],
  encoding: 'utf8',
  env: { ...process.env, HOME: home, MCP_REMOTE_CONFIG_DIR: home },
  timeout: 60_000,
});
rmSync(home, { recursive: true, force: true, maxRetries: 10 });
if (run.status !== 0) console.error(run.error ?? run.stderr);
process.exit(run.status ?? 1);
