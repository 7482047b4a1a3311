// What the TypeScript drivers share: command line, steps, output. `clients/common.py` is the same for Python.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

export const load = createRequire(process.env.INTEROP_DIR + '/');

export function parse(argv) {
  const options = {};
  while (argv[0]?.startsWith('--')) {
    const [name, value] = argv.splice(0, 2);
    if (!['--url', '--token', '--command'].includes(name) || value === undefined) usage(`unknown option ${name}`);
    options[name.slice(2)] = value;
  }
  if (!options.url === !options.command) usage('one of --url and --command is needed');
  const [verb, ...rest] = argv;
  if (verb === 'session' && rest.length === 1) options.steps = rest[0];
  else if (verb === 'list' && rest.length === 0) options.steps = '[["list"]]';
  else if (verb === 'call' && rest.length === 2) options.steps = JSON.stringify([['call', rest[0], JSON.parse(rest[1])]]);
  else usage('needs list, call NAME JSON or session STEPS');
  options.headers = options.token ? { Authorization: `Bearer ${options.token}` } : {};
  return options;
}

function usage(why) {
  console.error(`${why}; see README.md`);
  process.exit(2);
}

// The steps of a session: a JSON array on the command line, or one step a line on stdin (`-`).
export async function* steps({ steps }) {
  if (steps !== '-') return yield* JSON.parse(steps);
  for await (const line of createInterface({ input: process.stdin })) if (line.trim()) yield JSON.parse(line);
}

export const print = (value) => console.log(JSON.stringify(value));
export const names = (tools) => tools.map((tool) => tool.name).sort();

export function outcome(result) {
  const text = (result.content ?? []).filter((part) => part.type === 'text').map((part) => part.text);
  const { isError = false, structuredContent = null, _meta: meta = null } = result;
  return { isError, text: text.join('\n'), structuredContent, meta };
}

export function fail(error) {
  console.error(error?.stack ?? String(error));
  process.exit(1);
}

// Drives a connected SDK client. An error that came over the wire is part of the conversation and printed;
// what the SDK throws on its own (a result that its validation refuses, say) ends the run with exit code 1.
export async function drive(client, options) {
  let wireError;
  let changed = 0;
  const deliver = client.transport.onmessage;
  client.transport.onmessage = (message, ...rest) => {
    if (message.error) wireError = message.error;
    if (message.method === 'notifications/tools/list_changed') changed += 1;
    deliver(message, ...rest);
  };
  const list = async () => {
    const all = [];
    for (let cursor; ; ) {
      const page = await client.listTools(cursor === undefined ? undefined : { cursor });
      all.push(...page.tools);
      cursor = page.nextCursor;
      if (cursor === undefined) return names(all);
    }
  };
  const waitForChange = async (ms) => {
    for (const end = Date.now() + ms; !changed && Date.now() < end; ) await new Promise((wake) => setTimeout(wake, 20));
    const seen = changed > 0;
    changed = 0;
    return seen;
  };
  for await (const [verb, ...args] of steps(options)) {
    wireError = undefined;
    try {
      if (verb === 'list') print(await list());
      else if (verb === 'call') print(outcome(await client.callTool({ name: args[0], arguments: args[1] })));
      else if (verb === 'listen') print(Boolean(await client.listen({ toolsListChanged: true })));
      else if (verb === 'changed') print(await waitForChange(args[0]));
      else usage(`unknown step ${verb}`);
    } catch (error) {
      if (!wireError) throw error;
      print({ error: wireError });
    }
  }
  await client.close();
}
