// Driver for assistants on the command line, without a login and without a network: gemini (Gemini CLI) or opencode. Their model is
// this script: it serves the provider's API on loopback and asks for the next step's tool.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { names, parse, print, steps } from './common.mjs';

const [assistant, ...argv] = process.argv.slice(2);
const options = parse(argv);
const modules = join(process.env.INTEROP_DIR, 'node_modules');
const home = mkdtempSync(join(tmpdir(), `interop-${assistant}-`));
const stdio = ['sh', '-c', `cd '${process.cwd()}' && exec ${options.command}`];

// Gemini CLI marks what a server said for its model.
const unmarked = (text) => String(text).replace(/^<untrusted_context>\n|\n<\/untrusted_context>$/g, '');

// What each needs: its files, how it is started, and how its provider's API says what a turn of the model says.
const kinds = {
  gemini: {
    prefix: 'mcp_gate_',
    files: () => ({
      '.gemini/settings.json': {
        mcpServers: { gate: { ...(options.url ? { httpUrl: options.url, headers: options.headers } : { command: stdio[0], args: stdio.slice(1) }), trust: true } },
        security: { auth: { selectedType: 'gemini-api-key' }, folderTrust: { enabled: false } },
        privacy: { usageStatisticsEnabled: false },
      },
    }),
    command: [process.execPath, join(modules, '.bin/gemini'), '-m', 'gemini-2.5-flash', '--yolo', '-p', 'go', '--output-format', 'json'],
    env: (base) => ({ GEMINI_API_KEY: 'none', GOOGLE_GEMINI_BASE_URL: base }),
    isTurn: (request) => request.url.includes(':streamGenerateContent'),
    tools: (body) => (body.tools ?? []).flatMap((tool) => tool.functionDeclarations ?? []),
    said: (body) => body.contents.at(-1).parts.find((part) => part.functionResponse)?.functionResponse.response,
    result: (said) => (said.error ? { isError: true, text: String(said.error) } : { isError: false, text: unmarked(said.output) }),
    answer: (call) => {
      const part = call ? { functionCall: { name: call.name, args: call.input } } : { text: 'done' };
      const usageMetadata = { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 };
      return [{ candidates: [{ content: { role: 'model', parts: [part] }, finishReason: 'STOP', index: 0 }], usageMetadata }];
    },
  },
  opencode: {
    prefix: 'gate_',
    files: (base) => ({
      'opencode.json': {
        autoupdate: false,
        share: 'disabled',
        permission: { '*': 'allow' },
        mcp: { gate: options.url ? { type: 'remote', url: options.url, oauth: false, headers: options.headers } : { type: 'local', command: stdio } },
        provider: { ours: { npm: '@ai-sdk/openai-compatible', options: { baseURL: `${base}/v1`, apiKey: 'none' }, models: { model: { name: 'model', tool_call: true } } } },
      },
    }),
    command: [join(modules, 'opencode-linux-x64/bin/opencode'), 'run', '-m', 'ours/model', '--format', 'json', 'go'],
    env: () => ({}),
    // It also asks for a title, without tools.
    isTurn: (request, body) => request.url.endsWith('/chat/completions') && body.tools?.length > 0,
    tools: (body) => body.tools.map((tool) => tool.function),
    said: (body) => (body.messages.at(-1).role === 'tool' ? body.messages.at(-1).content : undefined),
    // What the model is shown of an error is its text.
    result: (said) => ({ isError: false, text: typeof said === 'string' ? said : JSON.stringify(said) }),
    answer: (call) => {
      const tool = call && { index: 0, id: 'call', type: 'function', function: { name: call.name, arguments: JSON.stringify(call.input ?? {}) } };
      const chunk = (delta, finish_reason) => ({ id: 'turn', object: 'chat.completion.chunk', created: 1, model: 'model', choices: [{ index: 0, delta, finish_reason }] });
      return [chunk({ role: 'assistant', ...(tool ? { tool_calls: [tool] } : { content: 'done' }) }, null), chunk({}, tool ? 'tool_calls' : 'stop'), '[DONE]'];
    },
  },
};
const kind = kinds[assistant];

let running;
process.on('exit', () => {
  if (running?.exitCode === null) process.kill(-running.pid, 'SIGKILL');
  rmSync(home, { recursive: true, force: true, maxRetries: 10 });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

function fail(why) {
  console.error(why);
  process.exit(1);
}

const script = steps(options);
let asked = false;
let connected = false;

// One turn of the model: prints how the last step ended, answers with the next call or, at the end, with none.
async function turn(body) {
  const ours = kind.tools(body).filter(({ name }) => name.startsWith(kind.prefix)).map(({ name }) => ({ name: name.slice(kind.prefix.length) }));
  if (!ours.length) fail('not connected: it offers its model no tool of the server');
  connected = true;
  if (asked) {
    const said = kind.said(body);
    if (said === undefined) fail('it did not answer the call');
    const { isError, text } = kind.result(said);
    const isUnknown = !ours.some(({ name }) => name === asked);
    print(isUnknown ? { error: { code: 'no_such_tool', message: text } } : { isError, text, structuredContent: null, meta: null });
    asked = false;
  }
  for (;;) {
    const { value: [verb, name, input] = [], done } = await script.next();
    if (done) return undefined;
    if (verb === 'call') return (asked = name) && { name: kind.prefix + name, input };
    if (verb !== 'list') fail(`unknown step ${verb}; see README.md`);
    print(names(ours));
  }
}

const model = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let body = {};
  try {
    body = JSON.parse(Buffer.concat(chunks));
  } catch {}
  const isTurn = kind.isTurn(request, body);
  const events = kind.answer(isTurn ? await turn(body) : undefined);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join(''));
});
await new Promise((resolve) => model.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${model.address().port}`;
for (const [path, content] of Object.entries(kind.files(base))) {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), JSON.stringify(content));
}
// Nothing of the caller's own assistants: no settings, no credentials.
const inherited = Object.entries(process.env).filter(([name]) => !/^(GEMINI|GOOGLE|OPENCODE|XDG)/.test(name));
const env = { ...Object.fromEntries(inherited), HOME: home, PWD: home, ...kind.env(base) };
running = spawn(kind.command[0], kind.command.slice(1), { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
let log = '';
for (const said of [running.stdout, running.stderr]) said.on('data', (chunk) => (log += chunk));
const code = await new Promise((resolve) => running.on('exit', resolve));
if (code !== 0 || !connected) fail(`it ended with ${code}: ${log.slice(-2000)}`);
process.exit(0);
