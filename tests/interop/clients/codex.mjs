// Driver for Codex, without a login and without a model: its app server connects to the server under test and is asked what that
// has (`mcpServerStatus/list`) and to call it (`mcpServer/tool/call`).
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { names, outcome, parse, print, steps } from './common.mjs';

const options = parse(process.argv.slice(2));
const { INTEROP_DIR } = process.env;
const home = mkdtempSync(join(INTEROP_DIR, 'codex-')); // it starts nothing from below /tmp
const where = options.url
  ? [`url = ${JSON.stringify(options.url)}`, 'bearer_token_env_var = "GATE_TOKEN"']
  : ['command = "sh"', `args = ["-c", ${JSON.stringify(`exec ${options.command}`)}]`];
writeFileSync(join(home, 'config.toml'), ['[mcp_servers.gate]', ...where, ''].join('\n'));
const codex = spawn(join(INTEROP_DIR, 'node_modules/.bin/codex'), ['app-server'], {
  env: { ...process.env, HOME: home, CODEX_HOME: home, GATE_TOKEN: options.token ?? '' },
  stdio: ['pipe', 'pipe', 'ignore'],
});
process.on('exit', () => {
  codex.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true, maxRetries: 10 });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

function fail(why) {
  console.error(why);
  process.exit(1);
}

const waiting = new Map();
let id = 0;
createInterface({ input: codex.stdout }).on('line', (line) => {
  const message = JSON.parse(line);
  waiting.get(message.id)?.(message);
});
codex.on('exit', (code) => fail(`codex ended with ${code}`));
const send = (message) => codex.stdin.write(JSON.stringify(message) + '\n');
const ask = (method, params) => new Promise((resolve) => {
  waiting.set(++id, resolve);
  send({ id, method, params });
});

await ask('initialize', { clientInfo: { name: 'interop-codex', version: '1.0.0' } });
send({ method: 'initialized' });
const status = await ask('mcpServerStatus/list', {});
const server = status.result?.data.find(({ name }) => name === 'gate');
if (!server?.serverInfo) fail(`not connected: ${JSON.stringify(status).slice(0, 1000)}`);
const thread = await ask('thread/start', {});
for await (const [verb, tool, args] of steps(options)) {
  if (verb === 'list') print(names(Object.values(server.tools)));
  else if (verb === 'call') {
    const said = await ask('mcpServer/tool/call', { threadId: thread.result.thread.id, server: 'gate', tool, arguments: args });
    print(said.error ? { error: said.error } : outcome(said.result));
  } else fail(`unknown step ${verb}; see README.md`);
}
process.exit(0);
