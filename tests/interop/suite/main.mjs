// The command behind ./conformance: each suite bare against the reference server, and through a gateway in front of it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startGateway } from './gateway.mjs';
import { lost, runSuite, verdict } from './run.mjs';

const here = fileURLToPath(new URL('..', import.meta.url));
const program = (name) => `${process.env.INTEROP_DIR}/node_modules/${name}/dist/index.js`;

// The suites: which version of the official one, what it is told, and the reference server that it is for.
export const SUITES = {
  '0.1.16': { program: program('conformance-0.1'), args: ['--suite', 'all'], server: 'reference-2025' },
  '2025-06-18': { program: program('conformance'), args: ['--spec-version', '2025-06-18', '--suite', 'all'], server: 'reference-2025' },
  '2025-11-25': { program: program('conformance'), args: ['--requirements', '2025-11-25'], server: 'reference-2025' },
  '2026-07-28': { program: program('conformance'), args: ['--requirements', '2026-07-28'], server: 'reference-2026' },
};

// The client scenarios: those of authorisation are left out, because the gateway has no login at a tool server, and those of the
// extension for skills, which it hands on and does not use.
const CLIENTS = 'clients';
const CLIENT_SCENARIOS = [
  'initialize', 'tools_call', 'elicitation-sep1034-client-defaults', 'sse-retry', 'request-metadata', 'sep-2322-client-request-state',
  'http-standard-headers', 'http-custom-headers', 'http-invalid-tool-headers', 'json-schema-ref-no-deref', 'json-schema-2020-12-preservation',
];

const options = { gateway: process.env.SLUICEGATE ?? `${here}../../target/debug/sluicegate`, suites: [], json: false, folders: {} };
const argv = process.argv.slice(2);
while (argv.length) {
  const word = argv.shift();
  if (word === '--gateway') options.gateway = argv.shift();
  else if (word === '--stdio-folder') options.folders.stdio = argv.shift();
  else if (word === '--http-folder') options.folders.http = argv.shift();
  else if (word === '--json') options.json = true;
  else if (word in SUITES || word === CLIENTS) options.suites.push(word);
  else usage();
}

const ALL = [...Object.keys(SUITES), CLIENTS];

function usage() {
  console.error(`usage: conformance [--gateway BINARY] [--stdio-folder DIR] [--http-folder DIR] [--json] [SUITE…]\nsuites: ${ALL.join(' ')}`);
  process.exit(2);
}

// Starts the reference server over HTTP and resolves with its URL.
async function serveHttp(server) {
  const child = spawn(`${here}serve`, [server, '0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const url = await new Promise((resolve, reject) => {
    let said = '';
    child.on('exit', (code) => reject(new Error(`serve ${server} ended with ${code}: ${said}`)));
    createInterface({ input: child.stderr }).on('line', (line) => {
      said += `${line}\n`;
      const [, url] = line.match(/listening on (http:\S+)/) ?? [];
      if (url) resolve(url);
    });
  });
  return { url, stop: () => child.kill() };
}

// How a suite reaches the reference server: bare, or through a gateway that has it as a process or by its URL.
const WAYS = {
  bare: ({ server }) => serveHttp(server),
  stdio: ({ server }) => {
    const command = JSON.stringify([`${here}serve`, server, 'stdio']);
    // The gateway gives its tool servers nothing of its own environment.
    const env = `{ INTEROP_DIR = ${JSON.stringify(process.env.INTEROP_DIR)} }`;
    return startGateway(options.gateway, `command = ${command}\nenv = ${env}`, options.folders.stdio);
  },
  http: async ({ server }) => {
    const reference = await serveHttp(server);
    const gateway = await startGateway(options.gateway, `url = "${reference.url}"`, options.folders.http);
    return { url: gateway.url, stop: async () => void (await gateway.stop(), reference.stop()) };
  },
};

async function run(name, way) {
  const suite = SUITES[name];
  const target = await WAYS[way](suite);
  try {
    return await runSuite(suite.program, ['server', '--url', target.url, ...suite.args]);
  } finally {
    await target.stop();
  }
}

// The suite's servers in front of the gateway's upstream side, each with a gateway of its own.
async function runClients() {
  const command = `${process.execPath} ${here}suite/client.mjs`;
  for (const scenario of CLIENT_SCENARIOS) {
    const args = ['client', '--scenario', scenario, '--command', command];
    const found = await runSuite(program('conformance'), args, { SLUICEGATE: options.gateway });
    const result = found.get(scenario);
    const failures = Object.entries(result?.why ?? { [scenario]: ['not reached'] }).map(([id, said]) => `${id}: ${said.join('; ')}`);
    report({ suite: CLIENTS, scenario, http: verdict(result), lost: failures.length ? { http: failures } : {} });
  }
}

let broken = 0;
for (const name of options.suites.length ? options.suites : ALL) {
  if (name === CLIENTS) {
    await runClients();
    continue;
  }
  const [bare, ...through] = await Promise.all(Object.keys(WAYS).map((way) => run(name, way)));
  for (const [scenario, held] of bare) {
    const line = { suite: name, scenario, bare: verdict(held), lost: {} };
    for (const [index, way] of ['stdio', 'http'].entries()) {
      const result = through[index].get(scenario);
      const losses = lost(held, result);
      line[way] = losses.length && verdict(result) !== 'fail' ? 'less' : verdict(result);
      if (losses.length) line.lost[way] = losses;
    }
    report(line);
  }
}

function report(line) {
  const losses = Object.entries(line.lost);
  broken += losses.length > 0;
  if (options.json) return console.log(JSON.stringify(line));
  const ways = ['bare', 'stdio', 'http'].filter((way) => line[way]).map((way) => `${way} ${line[way]}`);
  console.log(`${losses.length ? 'LOST' : 'ok  '} ${line.suite} ${line.scenario}: ${ways.join(', ')}`);
  for (const [way, all] of losses) for (const loss of all) console.log(`     ${way} ${loss}`);
}

if (!options.json && broken) {
  console.log(`${broken} scenarios lose something on the way through the gateway`);
  process.exit(1);
}
