// The checks of ./self-test. Each client goes over HTTP through `serve tap`, which demands the token and tells what the client sent, and over stdio.
import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const legacy = '2025-11-25';
const modern = '2026-07-28';
const unsaid = 'no revision in its header';

// client → the revision it speaks to a server of 2025 and to one of 2026 that also takes the handshake; null: it refuses.
const clients = {
  ts1: [legacy, legacy],
  'ts2-legacy': [legacy, legacy],
  'ts2-modern': [null, modern],
  'ts2-auto': [legacy, modern],
  py1: [legacy, legacy],
  'py2-auto': [legacy, modern],
  'py2-legacy': [legacy, legacy],
  'py2-modern': [null, modern],
  inspector: [legacy, legacy],
  'inspector-modern': [null, modern],
  claude: [legacy, modern],
  fastmcp: [legacy, modern],
  'openai-agents': [legacy, legacy],
  langchain: [legacy, legacy],
  codex: ['2025-06-18', '2025-06-18'],
  gemini: [unsaid, unsaid],
  opencode: [legacy, legacy],
};
const servers = { filesystem: [here], git: [], time: [] };

let failures = 0;
const running = [];

function check(what, ok, detail) {
  if (!ok) failures += 1;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}${ok ? '' : `: ${detail}`}`);
}

const drive = (client, ...args) =>
  new Promise((resolve) => {
    execFile(`${here}drive`, [client, ...args], { timeout: 60_000, cwd: here }, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? 1) : 0, lines: stdout.split('\n').filter(Boolean), stderr });
    });
  });

// Starts a server and resolves with its URL once it says where it listens; `seen` gathers its stdout.
function serve(name, ...args) {
  const child = spawn(`${here}serve`, [name, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  const seen = [];
  createInterface({ input: child.stdout }).on('line', (line) => seen.push(line));
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`serve ${name} ended with ${code}`)));
    createInterface({ input: child.stderr }).on('line', (line) => {
      const [, url] = line.match(/listening on (http:\S+)/) ?? [];
      const [, port] = line.match(/listening on port (\d+)/) ?? [];
      if (url || port) resolve({ url: url ?? `http://127.0.0.1:${port}/mcp`, seen });
    });
  });
}

function talked(what, { code, lines, stderr }, ...expected) {
  const ok = code === 0 && expected.every((test, at) => test(JSON.parse(lines[at] ?? 'null')));
  check(what, ok, `exit ${code} ${lines.join(' ').slice(0, 300)} ${stderr.slice(-300)}`);
}

const lists = (names) => names?.includes('echo') && names.includes('get-sum');
const echoes = (answer) => answer?.isError === false && answer.text === 'Echo: héllo';
const refuses = (answer) => answer?.isError === true || Boolean(answer?.error);

async function overHttp(client, server, revision, { url, seen }) {
  const to = ['--url', url, '--token', 'secret'];
  const what = `${client} → ${server} over HTTP`;
  seen.length = 0;
  const list = await drive(client, ...to, 'list');
  if (client === 'py2-modern' && !revision) return check(`${what}: refused`, list.lines[0]?.startsWith('{"error"'), list.lines[0]);
  if (!revision) return check(`${what}: refused`, list.code === 1 && !list.lines.length, list.lines[0]);
  talked(`${what}: list`, list, lists);
  talked(`${what}: call`, await drive(client, ...to, 'call', 'echo', '{"message":"héllo"}'), echoes);
  talked(`${what}: unknown tool`, await drive(client, ...to, 'call', 'nope', '{}'), refuses);
  const spoken = seen.map((line) => JSON.parse(line).headers['mcp-protocol-version']).filter(Boolean);
  check(`${what}: speaks ${revision}`, (spoken.at(-1) ?? unsaid) === revision, spoken.at(-1));
  if (!client.startsWith('inspector')) {
    const steps = JSON.stringify([['list'], ['call', 'get-sum', { a: 1, b: 2 }], ['call', 'echo', { message: 'héllo' }]]);
    talked(`${what}: session`, await drive(client, ...to, 'session', steps), lists, (sum) => sum?.text.includes('3'), echoes);
  }
  const wrong = await drive(client, '--url', url, '--token', 'wrong', 'list');
  const refused = wrong.code === 1 && !wrong.lines.length;
  check(`${what}: wrong token`, refused || (client === 'py2-modern' && refuses(JSON.parse(wrong.lines[0]))), wrong.lines.join(' '));
}

try {
  const everything = await serve('everything-http', process.env.PORT ?? '3001');
  const small = await serve('modern-http', '0');
  const taps = [await serve('tap', '0', everything.url, 'secret'), await serve('tap', '0', small.url, 'secret')];
  for (const [client, [with2025, with2026]] of Object.entries(clients)) {
    await overHttp(client, 'everything', with2025, taps[0]);
    await overHttp(client, 'modern', with2026, taps[1]);
    const command = ['--command', `${here}serve ${with2025 ? 'everything' : 'time'}`];
    const expect = with2025 ? lists : (names) => names?.includes('convert_time');
    talked(`${client} → ${with2025 ? 'everything' : 'time'} over stdio: list`, await drive(client, ...command, 'list'), expect);
  }
  const listed = await drive('claude', '--url', taps[0].url, '--token', 'secret', 'mcp-list');
  check('claude mcp add && claude mcp list', listed.code === 0, listed.lines.join(' '));
  for (const [server, args] of Object.entries(servers)) {
    const command = [`${here}serve`, server, ...args].join(' ');
    talked(`ts1 → ${server} over stdio: list`, await drive('ts1', '--command', command, 'list'), (names) => names?.length > 1);
  }
} finally {
  for (const child of running) child.removeAllListeners('exit').kill();
}
console.log(failures ? `${failures} checks failed` : 'all checks passed');
process.exit(failures ? 1 : 0);
