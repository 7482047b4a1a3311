// Driver for Claude Code, without a login and without a network: `mcp-list` is `claude mcp add … && claude mcp list`; the steps
// are run by `claude -p`, whose model is this script: it serves the Messages API on loopback and asks for the next step's tool.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { names, parse, print, steps } from './common.mjs';

const wrapper = join(process.env.INTEROP_DIR, 'node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs');
const prefix = 'mcp__gate__';
const shell = (command) => ['-c', 'cd "$0" && exec ' + command, process.cwd()]; // its own directory is not the caller's

const argv = process.argv.slice(2);
const listing = argv.at(-1) === 'mcp-list';
const options = parse(listing ? [...argv.slice(0, -1), 'list'] : argv);
const home = mkdtempSync(join(tmpdir(), 'interop-claude-'));
let running; // `claude -p`, in a process group of its own because the wrapper starts the program as its child
process.on('exit', () => {
  if (running?.exitCode === null) process.kill(-running.pid, 'SIGKILL');
  rmSync(home, { recursive: true, force: true, maxRetries: 10 });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

// Nothing of the caller's own Claude Code: no settings, no credentials, no traffic but to the server under test and to us.
const inherited = Object.entries(process.env).filter(([name]) => !/^(ANTHROPIC|CLAUDE)/.test(name));
const env = {
  ...Object.fromEntries(inherited),
  HOME: home,
  CLAUDE_CONFIG_DIR: join(home, '.claude'),
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  DISABLE_AUTOUPDATER: '1',
  ENABLE_TOOL_SEARCH: 'false', // all tools in every request, none deferred
};

function fail(why) {
  console.error(why);
  process.exit(1);
}

function mcpList() {
  const claude = (...args) => spawnSync(process.execPath, [wrapper, ...args], { cwd: home, env, encoding: 'utf8' });
  const where = options.url ? ['--transport', 'http', 'gate', options.url] : ['gate', '--', 'sh', ...shell(options.command)];
  const headers = Object.entries(options.headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
  const added = claude('mcp', 'add', ...where, ...headers);
  if (added.status !== 0) fail(added.stderr);
  const listed = claude('mcp', 'list');
  process.stdout.write(listed.stdout);
  if (listed.status !== 0 || !/^gate: .* Connected$/m.test(listed.stdout)) fail(listed.stderr || 'not connected');
}

const script = steps(options);
let asked = 0;
let connected; // resolves once Claude Code has said that the server is connected
const ready = new Promise((resolve) => (connected = resolve));

// One turn of the model: prints how the last step ended, answers with the next call or, at the end, with text.
async function turn({ tools = [], messages }) {
  await ready;
  if (asked) report(messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])));
  for (;;) {
    const { value: [verb, name, input] = [], done } = await script.next();
    if (done) return { type: 'text', text: 'done' };
    if (verb === 'call') return { type: 'tool_use', id: `toolu_${++asked}`, name: prefix + name, input };
    if (verb !== 'list') fail(`unknown step ${verb}; see README.md`);
    const ours = tools.filter((tool) => tool.name.startsWith(prefix));
    print(names(ours.map((tool) => ({ name: tool.name.slice(prefix.length) }))));
  }
}

function report(blocks) {
  const result = blocks.find((block) => block.type === 'tool_result' && block.tool_use_id === `toolu_${asked}`);
  if (!result) fail('Claude Code did not answer the tool_use');
  const parts = typeof result.content === 'string' ? [{ type: 'text', text: result.content }] : (result.content ?? []);
  const text = parts.filter((part) => part.type === 'text').map((part) => part.text).join('\n');
  if (/No such tool available/.test(text)) print({ error: { code: 'no_such_tool', message: text } });
  else print({ isError: Boolean(result.is_error), text, structuredContent: null, meta: null });
}

// The same answer as a Messages API stream: https://platform.claude.com/docs/en/build-with-claude/streaming
function stream(block, model) {
  const usage = { input_tokens: 1, output_tokens: 1 };
  const call = block.type === 'tool_use';
  const start = call ? { ...block, input: {} } : { ...block, text: '' };
  const delta = call ? { type: 'input_json_delta', partial_json: JSON.stringify(block.input ?? {}) } : { type: 'text_delta', text: block.text };
  const message = { id: `msg_${asked}`, type: 'message', role: 'assistant', model, content: [], stop_reason: null, stop_sequence: null, usage };
  return [
    { type: 'message_start', message },
    { type: 'content_block_start', index: 0, content_block: start },
    { type: 'content_block_delta', index: 0, delta },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: call ? 'tool_use' : 'end_turn', stop_sequence: null }, usage },
    { type: 'message_stop' },
  ].map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

const model = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  if (!request.url.startsWith('/v1/messages?') && request.url !== '/v1/messages') return response.writeHead(404).end('{}');
  const body = JSON.parse(Buffer.concat(chunks));
  if (!body.stream) fail('Claude Code did not ask for a stream');
  const block = await turn(body).catch((error) => fail(error.stack));
  response.writeHead(200, { 'content-type': 'text/event-stream' }).end(stream(block, body.model).join(''));
});

function play() {
  const server = options.url
    ? { type: 'http', url: options.url, headers: options.headers }
    : { type: 'stdio', command: 'sh', args: shell(options.command) };
  const args = [wrapper, '-p', 'go', '--output-format', 'stream-json', '--verbose', '--tools', '', '--strict-mcp-config'];
  args.push('--mcp-config', JSON.stringify({ mcpServers: { gate: server } }), '--allowedTools', 'mcp__gate');
  const base = { ANTHROPIC_BASE_URL: `http://127.0.0.1:${model.address().port}`, ANTHROPIC_API_KEY: 'none' };
  running = spawn(process.execPath, args, { cwd: home, env: { ...env, ...base }, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  createInterface({ input: running.stdout }).on('line', (line) => {
    const event = JSON.parse(line);
    if (event.type === 'result' && event.is_error) fail(line);
    if (event.subtype !== 'init') return;
    const { status } = event.mcp_servers.find(({ name }) => name === 'gate') ?? {};
    if (status === 'connected') return connected();
    fail(`Claude Code says of the server: ${status}`);
  });
  running.on('exit', (code) => process.exit(code ?? 1));
}

if (listing) mcpList();
else model.listen(0, '127.0.0.1', play);
