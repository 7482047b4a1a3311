// A gateway in front of one upstream whose policy allows everything, in a folder of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const POLICY = readFileSync(new URL('policy.toml', import.meta.url), 'utf8');

// `upstream` is the first line of the table: a `command` or a `url`. Whoever reaches the listener is the person of the policy,
// because the suite cannot send a token.
const configuration = (upstream) => `
[gateway]
state_dir = "./state"
[listen.main]
address = "127.0.0.1:0"
insecure_local = true
vouches = { source = "chat", subject = "user:suite", roles = ["assistant"] }
run = "session"
[upstreams.reference]
${upstream}
returns = "trusted"
prefix = ""
list_wait = "60s"
${POLICY}`;

// Starts `binary` and resolves once it listens; `folder` keeps its configuration, state and log, and is removed if it is ours.
export async function startGateway(binary, upstream, folder) {
  const dir = folder ?? mkdtempSync(join(tmpdir(), 'interop-gateway-'));
  writeFileSync(join(dir, 'gateway.toml'), configuration(upstream));
  const child = spawn(binary, ['serve', '--config', 'gateway.toml'], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk) => (log += chunk));
  const gone = new Promise((resolve) => child.on('exit', resolve));
  let url;
  await new Promise((resolve, reject) => {
    gone.then((code) => reject(new Error(`the gateway ended with ${code}: ${log}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [word, name, place] = line.split(/\s+/);
      if (word === 'listening' && name === 'main') url = place;
      if (word === 'ready') resolve();
    });
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await gone;
    writeFileSync(join(dir, 'log'), log);
    if (!folder) rmSync(dir, { recursive: true, force: true });
  };
  return { url, stop };
}
