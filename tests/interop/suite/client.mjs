// What the suite starts for a client scenario: a gateway whose upstream is the scenario's server, and a client of 2026-07-28 that
// uses everything which it finds behind it, as the scenario wants. SLUICEGATE names the gateway; the last argument is the server.
import { startGateway } from './gateway.mjs';

const url = process.argv.at(-1);
const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_CONTEXT: context } = process.env;
const REVISION = '2026-07-28';
const META = 'io.modelcontextprotocol/';
const meta = {
  [`${META}protocolVersion`]: REVISION,
  [`${META}clientInfo`]: { name: 'interop-suite', version: '1.0.0' },
  [`${META}clientCapabilities`]: { elicitation: { form: {} }, sampling: {}, roots: {} },
};
const gateway = await startGateway(process.env.SLUICEGATE, `url = ${JSON.stringify(url)}`, process.env.GATEWAY_FOLDER || undefined);
let ids = 0;

// One request; resolves with its result, or throws its error.
async function request(method, params = {}) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: ++ids, method, params: { ...params, _meta: meta } });
  const name = params.name ?? params.uri;
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': REVISION,
    'mcp-method': method,
    ...(name && { 'mcp-name': name }),
    ...mirrored(method, params),
  };
  const response = await fetch(gateway.url, { method: 'POST', headers, body });
  const text = await response.text();
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
  const messages = isStream ? text.split('\n').filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice(6))) : [JSON.parse(text)];
  const { result, error } = messages.at(-1);
  if (error) throw Object.assign(new Error(error.message), { error });
  return result;
}

// The arguments that a tool wants in headers too (2026-07-28, server/tools, "x-mcp-header").
const tools = new Map();
function mirrored(method, { name, arguments: given = {} }) {
  const properties = method === 'tools/call' ? (tools.get(name)?.inputSchema?.properties ?? {}) : {};
  const entries = Object.entries(properties).filter(([key, schema]) => schema['x-mcp-header'] && given[key] !== undefined && given[key] !== null);
  return Object.fromEntries(entries.map(([key, schema]) => [`mcp-param-${schema['x-mcp-header']}`, encoded(String(given[key]))]));
}
const encoded = (text) => (/^(?! )[\x20-\x7e]*$/.test(text) && !text.endsWith(' ') ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`);

// Calls, and answers what is asked until there is an answer.
async function call(method, params) {
  let result = await request(method, params);
  while (result.resultType === 'input_required') {
    const answers = Object.entries(result.inputRequests ?? {}).map(([key, asked]) => [key, answer(asked)]);
    const inputResponses = Object.fromEntries(answers);
    result = await request(method, { ...params, inputResponses, ...(result.requestState && { requestState: result.requestState }) });
  }
  return result;
}

function answer({ method, params }) {
  if (method === 'roots/list') return { roots: [] };
  if (method === 'sampling/createMessage') return { role: 'assistant', model: 'none', content: { type: 'text', text: 'Yes.' } };
  const properties = Object.entries(params.requestedSchema?.properties ?? {});
  const content = Object.fromEntries(properties.map(([key, schema]) => [key, schema.default ?? sample(schema)]));
  return { action: 'accept', content };
}

// A value that a schema takes.
function sample(schema = {}) {
  if (schema.enum) return schema.enum[0];
  const { type } = schema;
  if (type === 'object') return Object.fromEntries((schema.required ?? []).map((key) => [key, sample(schema.properties?.[key])]));
  return { number: 5, integer: 5, boolean: true, array: [], null: null }[type] ?? 'text';
}

const failed = (what) => (error) => console.error(`${what}: ${error.message}`);
try {
  await request('server/discover');
  for (const tool of (await request('tools/list')).tools) tools.set(tool.name, tool);
  const wanted = context ? JSON.parse(context).toolCalls : undefined;
  const focal = [...tools.values()].find(({ inputSchema }) => inputSchema.$defs);
  const calls = wanted ?? [...tools.values()].map(({ name, inputSchema }) => {
    const echoes = focal && inputSchema.properties?.schema?.type === 'object';
    return { name, arguments: echoes ? { schema: focal.inputSchema } : sample({ type: 'object', ...inputSchema }) };
  });
  await Promise.all(calls.map((params) => call('tools/call', params).catch(failed(params.name))));
  const { resources = [] } = await request('resources/list').catch(() => ({}));
  for (const { uri } of resources) await call('resources/read', { uri }).catch(failed(uri));
  const { prompts = [] } = await request('prompts/list').catch(() => ({}));
  for (const { name } of prompts) await call('prompts/get', { name }).catch(failed(name));
} finally {
  await gateway.stop();
}
console.error(`${scenario}: done`);
