// One run of the official suite: starts it, and reads what it found from the files that it leaves.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// A check that was made several times counts as its worst.
const SEVERITY = ['FAILURE', 'WARNING', 'SUCCESS', 'SKIPPED', 'INFO']; // what was skipped once and made once was made
const worse = (a, b) => (SEVERITY.indexOf(a) <= SEVERITY.indexOf(b) ? a : b);

// Runs `program ARGUMENTS -o FOLDER`; resolves with a map of scenario → { checks: { id: status }, why: [text] }.
export async function runSuite(program, args, env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'interop-suite-'));
  const child = spawn(process.execPath, [program, ...args, '-o', folder], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  await new Promise((resolve) => child.on('exit', resolve));
  const found = new Map();
  for (const [name, checks] of results(folder)) found.set(name, summary(checks));
  rmSync(folder, { recursive: true, force: true });
  if (!found.size) throw new Error(`the suite left no result: ${said}`);
  return found;
}

// A folder for each scenario, whose name (`auth/basic`) may be one of a folder in a folder: [server-]NAME-TIME/checks.json.
function* results(folder, inside = '') {
  for (const entry of readdirSync(join(folder, inside), { withFileTypes: true })) {
    const path = inside ? `${inside}/${entry.name}` : entry.name;
    if (entry.isDirectory()) yield* results(folder, path);
    else if (entry.name === 'checks.json') yield [inside.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, ''), JSON.parse(readFileSync(join(folder, path)))];
  }
}

function summary(all) {
  const checks = {};
  const why = {};
  for (const { id, status, errorMessage } of all) {
    checks[id] = id in checks ? worse(checks[id], status) : status;
    if (['FAILURE', 'WARNING'].includes(status)) (why[id] ??= []).push(errorMessage ?? status);
  }
  return { checks, why };
}

// The word for a scenario by itself.
export function verdict(result) {
  if (!result) return 'fail';
  const all = Object.values(result.checks);
  if (all.includes('FAILURE')) return 'fail';
  if (all.includes('WARNING')) return 'warn';
  return all.includes('SUCCESS') ? 'pass' : 'none';
}

// What holds bare and not through the gateway: each with what the suite says of it. What became information is no loss: there
// the suite found nothing to check, for instance because an answer came as JSON and not as a stream.
export function lost(bare, through) {
  const losses = [];
  for (const [id, status] of Object.entries(bare.checks)) {
    const now = through?.checks[id];
    if (status !== 'SUCCESS' || ['SUCCESS', 'INFO'].includes(now)) continue;
    losses.push(`${id}: ${now ?? 'not reached'}${through?.why[id] ? `: ${through.why[id].join('; ')}` : ''}`);
  }
  // Failures under an id that the bare run never came to: the suite names what broke it so.
  for (const [id, said] of Object.entries(through?.why ?? {})) {
    if (!(id in bare.checks) && through.checks[id] === 'FAILURE') losses.push(`${id}: ${said.join('; ')}`);
  }
  return losses;
}
