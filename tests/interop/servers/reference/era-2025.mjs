// The reference server of the 2025 revisions, on the TypeScript SDK 1.x: era-2025.mjs (stdio | PORT). It has sessions, resumes
// streams, closes one in the middle of a call (SEP-1699) and asks its client for sampling, elicitation and roots.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { load } from '../../clients/common.mjs';
import * as catalogue from './catalogue.mjs';

const { Server } = load('@modelcontextprotocol/sdk/server/index.js');
const { StdioServerTransport } = load('@modelcontextprotocol/sdk/server/stdio.js');
const { StreamableHTTPServerTransport } = load('@modelcontextprotocol/sdk/server/streamableHttp.js');
const types = load('@modelcontextprotocol/sdk/types.js');

const { object, pause, said, string, tool } = catalogue;

const TOOLS = [
  ...catalogue.fixedTools,
  catalogue.jsonSchemaTool,
  catalogue.progressTool,
  catalogue.loggingTool,
  tool('test_sampling', 'Asks the model of the client', object({ prompt: string })),
  tool('test_elicitation', 'Asks the user of the client', object({ message: string })),
  tool('test_elicitation_sep1034_defaults', 'Asks the user, with defaults'),
  tool('test_elicitation_sep1330_enums', 'Asks the user, with choices'),
  tool('test_list_roots', 'Asks for the roots of the client'),
  tool('test_reconnection', 'Closes the stream of its call before it answers'),
  tool('test_touch', 'Says that a resource changed', object({ uri: string })),
];

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

const answered = ({ action, content }) => said(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`);

// The tools that do more than answer; `session` is what this server remembers of its client.
const run = {
  async test_tool_with_progress(_, { _meta, sendNotification }) {
    for (const progress of [0, 50, 100]) {
      const params = { progressToken: _meta?.progressToken, progress, total: 100 };
      if (_meta?.progressToken !== undefined) await sendNotification({ method: 'notifications/progress', params });
      await pause(50);
    }
    return said('Progress was reported.');
  },
  async test_tool_with_logging(_, { sendNotification }, session) {
    for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      const params = { level: 'info', logger: 'reference', data };
      if (LEVELS.indexOf('info') >= LEVELS.indexOf(session.level)) await sendNotification({ method: 'notifications/message', params });
      await pause(50);
    }
    return said('Three messages were logged.');
  },
  async test_sampling({ prompt }, { sendRequest }) {
    const params = { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 };
    const { content } = await sendRequest({ method: 'sampling/createMessage', params }, types.CreateMessageResultSchema);
    return said(`LLM response: ${content.text}`);
  },
  async test_elicitation({ message }, { sendRequest }) {
    const requestedSchema = object({ response: { type: 'string', description: "The user's answer" } });
    const params = { message, requestedSchema };
    const { action, content } = await sendRequest({ method: 'elicitation/create', params }, types.ElicitResultSchema);
    return said(`User response: action: ${action}, content: ${JSON.stringify(content ?? {})}`);
  },
  async test_elicitation_sep1034_defaults(_, { sendRequest }) {
    const params = { message: 'Please review the form', requestedSchema: catalogue.defaultsForm };
    return answered(await sendRequest({ method: 'elicitation/create', params }, types.ElicitResultSchema));
  },
  async test_elicitation_sep1330_enums(_, { sendRequest }) {
    const params = { message: 'Please choose', requestedSchema: catalogue.enumsForm };
    return answered(await sendRequest({ method: 'elicitation/create', params }, types.ElicitResultSchema));
  },
  async test_list_roots(_, { sendRequest }) {
    const { roots } = await sendRequest({ method: 'roots/list' }, types.ListRootsResultSchema);
    return said(`Roots: ${roots.map(({ uri }) => uri).join(' ')}`);
  },
  async test_reconnection(_, { closeSSEStream }) {
    await pause(50);
    closeSSEStream?.();
    await pause(100);
    return said('The stream was closed before this answer.');
  },
  async test_touch({ uri }, { sendNotification }, session) {
    if (session.subscribed.has(uri)) await session.server.sendResourceUpdated({ uri });
    return said(session.subscribed.has(uri) ? 'Said so.' : 'Nobody subscribed to it.');
  },
};

function reference() {
  const capabilities = { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, prompts: { listChanged: true }, logging: {}, completions: {} };
  const server = new Server({ name: 'reference', version: '1.0.0' }, { capabilities });
  const session = { server, level: 'debug', subscribed: new Set() };
  const on = (schema, handler) => server.setRequestHandler(schema, async ({ params }, extra) => handler(params ?? {}, extra));

  on(types.ListToolsRequestSchema, () => ({ tools: TOOLS }));
  on(types.CallToolRequestSchema, ({ name, arguments: values = {} }, extra) => {
    if (catalogue.fixedResults[name]) return catalogue.fixedResults[name];
    if (name === catalogue.jsonSchemaTool.name) return said('Valid.');
    if (run[name]) return run[name](values, extra, session);
    throw new types.McpError(types.ErrorCode.InvalidParams, `Unknown tool: ${name}`);
  });
  on(types.ListResourcesRequestSchema, () => ({ resources: catalogue.resources }));
  on(types.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: catalogue.templates }));
  on(types.ReadResourceRequestSchema, ({ uri }) => {
    const contents = catalogue.read(uri);
    if (!contents) throw new types.McpError(-32002, 'Resource not found', { uri });
    return contents;
  });
  on(types.SubscribeRequestSchema, ({ uri }) => void session.subscribed.add(uri) ?? {});
  on(types.UnsubscribeRequestSchema, ({ uri }) => void session.subscribed.delete(uri) ?? {});
  on(types.ListPromptsRequestSchema, () => ({ prompts: catalogue.prompts }));
  on(types.GetPromptRequestSchema, ({ name, arguments: values }) => {
    const messages = catalogue.prompt(name, values);
    if (!messages) throw new types.McpError(types.ErrorCode.InvalidParams, `Unknown prompt: ${name}`);
    return messages;
  });
  on(types.CompleteRequestSchema, ({ argument }) => catalogue.complete(argument.value));
  on(types.SetLevelRequestSchema, ({ level }) => void (session.level = level) ?? {});
  return server;
}

// What was sent on each stream, by which a client that comes back is shown what it missed.
class Events {
  #events = [];

  async storeEvent(stream, message) {
    this.#events.push({ stream, message });
    return String(this.#events.length - 1);
  }

  async getStreamIdForEventId(id) {
    return this.#events[Number(id)]?.stream;
  }

  async replayEventsAfter(last, { send }) {
    const stream = this.#events[Number(last)]?.stream;
    for (const [index, event] of this.#events.entries()) {
      // An event without a method and an id only opened its stream.
      if (index > Number(last) && event.stream === stream && 'jsonrpc' in event.message) await send(String(index), event.message);
    }
    return stream;
  }
}

function listen(port) {
  const sessions = new Map();
  const http = createServer(async (request, response) => {
    const known = sessions.get(request.headers['mcp-session-id']);
    if (known) return known.handleRequest(request, response);
    if (request.headers['mcp-session-id']) return response.writeHead(404).end();
    const { port } = http.address();
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new Events(),
      retryInterval: 100,
      enableDnsRebindingProtection: true,
      allowedHosts: [`127.0.0.1:${port}`, `localhost:${port}`],
      allowedOrigins: [`http://127.0.0.1:${port}`, `http://localhost:${port}`],
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await reference().connect(transport);
    await transport.handleRequest(request, response);
  });
  http.listen(port, '127.0.0.1', () => console.error(`listening on http://127.0.0.1:${http.address().port}/mcp`));
}

const [where = 'stdio'] = process.argv.slice(2);
if (where === 'stdio') await reference().connect(new StdioServerTransport());
else listen(Number(where));
