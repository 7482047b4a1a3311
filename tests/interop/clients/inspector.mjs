// Driver for the MCP Inspector's command line; inspector.mjs (inspector | inspector-modern) OPTIONS STEP. What it runs, in short:
//   mcp-inspector --cli --server-url URL --transport http --header "Authorization: Bearer TOKEN" --format json --method tools/list
//   … --method tools/call --tool-name NAME --tool-args-json JSON
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { names, outcome, parse, print } from './common.mjs';

const [name, ...argv] = process.argv.slice(2);
const options = parse(argv);
const [[verb, tool, args], ...more] = options.steps === '-' ? [[], []] : JSON.parse(options.steps);
if (more.length || !['list', 'call'].includes(verb)) {
  console.error('the Inspector runs one list or call a process; see README.md');
  process.exit(2);
}

const home = join(process.env.INTEROP_DIR, 'home'); // it keeps a store (empty here) in its home directory
const cli = join(process.env.INTEROP_DIR, 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js');
const command = [cli, '--cli', '--format', 'json', '--quiet', '--stored-auth-only'];
command.push('--protocol-era', name === 'inspector-modern' ? 'modern' : 'legacy');
if (options.url) command.push('--server-url', options.url, '--transport', 'http');
for (const [header, value] of Object.entries(options.headers)) command.push('--header', `${header}: ${value}`);
command.push('--method', `tools/${verb}`);
if (verb === 'call') command.push('--tool-name', tool, '--tool-args-json', JSON.stringify(args));
if (options.command) command.push('--', 'sh', '-c', `exec ${options.command}`);
const run = spawnSync(process.execPath, command, { encoding: 'utf8', env: { ...process.env, HOME: home }, maxBuffer: 1 << 28, timeout: 60_000 });

const TOOL_ERROR = 5; // the tool answered with an error, or is not in the list: part of the conversation
if (run.status !== 0 && run.status !== TOOL_ERROR) {
  console.error(run.error ?? run.stderr);
  process.exit(1);
}
const { result } = run.stdout.trim() ? JSON.parse(run.stdout) : {};
if (!result) print(JSON.parse(run.stderr.trim().split('\n').at(-1)));
else print(verb === 'list' ? names(result.tools) : outcome(result));
