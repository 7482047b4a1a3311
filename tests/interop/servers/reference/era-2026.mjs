// The reference server of 2026-07-28, on the TypeScript SDK 2.x: era-2026.mjs (stdio | PORT) [only]. It asks its client by
// `input_required`, runs tasks (the extension io.modelcontextprotocol/tasks) and tells subscribers what changed. Without `only`
// it speaks the 2025 revisions too, over HTTP without sessions.
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { load } from '../../clients/common.mjs';
import * as catalogue from './catalogue.mjs';

const sdk = load('@modelcontextprotocol/server');
const { serveStdio } = load('@modelcontextprotocol/server/stdio');
const { localhostHostValidation, localhostOriginValidation, toNodeHandler } = load('@modelcontextprotocol/node');

const { object, pause, said, string, tool } = catalogue;

const states = sdk.createRequestStateCodec({ key: randomBytes(32) });

const elicit = (message, properties) => ({ method: 'elicitation/create', params: { message, requestedSchema: object(properties) } });
const sample = (prompt, maxTokens = 100) => ({ method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens } });
const listRoots = () => ({ method: 'roots/list', params: {} });

const accepted = (context, key) => sdk.acceptedContent(context.mcpReq.inputResponses, key);
const responses = (context) => context.mcpReq.inputResponses ?? {};
const ask = (inputRequests, requestState) => sdk.inputRequired({ inputRequests, ...(requestState ? { requestState } : {}) });
const declared = (context) => context.mcpReq.envelope?.[sdk.CLIENT_CAPABILITIES_META_KEY] ?? {};
const needs = (requiredCapabilities) => {
  throw new sdk.MissingRequiredClientCapabilityError({ requiredCapabilities });
};

const NAME = { name: string };

// Tools that ask before they answer: by name what they show and what they do.
const asking = {
  async test_input_required_result_elicitation(context) {
    const name = accepted(context, 'user_name')?.name;
    return name === undefined ? ask({ user_name: elicit('What is your name?', NAME) }) : said(`Hello, ${name}!`);
  },
  async test_input_required_result_sampling(context) {
    const { capital_question: answer } = responses(context);
    return answer ? said(`The model said: ${answer.content?.text}`) : ask({ capital_question: sample('What is the capital of France?') });
  },
  async test_input_required_result_list_roots(context) {
    const { client_roots: answer } = responses(context);
    return answer ? said(`Roots: ${answer.roots?.map(({ uri }) => uri).join(' ')}`) : ask({ client_roots: listRoots() });
  },
  async test_input_required_result_request_state(context) {
    const state = context.mcpReq.requestState();
    if (state?.asked === 'confirm' && accepted(context, 'confirm')) return said('state-ok');
    return ask({ confirm: elicit('Please confirm', { ok: { type: 'boolean' } }) }, await states.mint({ asked: 'confirm' }));
  },
  async test_input_required_result_tampered_state(context) {
    return asking.test_input_required_result_request_state(context);
  },
  async test_input_required_result_multiple_inputs(context) {
    const { greeting, client_roots: roots } = responses(context);
    const name = accepted(context, 'user_name')?.name;
    if (name !== undefined && greeting && roots) return said(`${greeting.content?.text} ${name}, of ${roots.roots?.length} roots`);
    const inputs = { user_name: elicit('What is your name?', NAME), greeting: sample('Generate a greeting', 50), client_roots: listRoots() };
    return ask(inputs, await states.mint({ asked: 'everything' }));
  },
  async test_input_required_result_multi_round(context) {
    const state = context.mcpReq.requestState();
    const color = state?.name !== undefined ? accepted(context, 'step2')?.color : undefined;
    if (color !== undefined) return said(`${state.name} likes ${color}.`);
    const name = state?.name ?? accepted(context, 'step1')?.name;
    if (name === undefined) return ask({ step1: elicit('Step 1: What is your name?', NAME) }, await states.mint({}));
    return ask({ step2: elicit('Step 2: What is your favorite color?', { color: string }) }, await states.mint({ name }));
  },
  async test_input_required_result_capabilities(context) {
    const { sampling, elicitation } = declared(context);
    if (Object.keys(responses(context)).length) return said('Thank you.');
    const inputs = { ...(sampling ? { model: sample('Say hello') } : {}), ...(elicitation ? { user: elicit('Who are you?', NAME) } : {}) };
    return Object.keys(inputs).length ? ask(inputs) : said('Nobody to ask.');
  },
  async test_streaming_elicitation(context) {
    const answer = accepted(context, 'user_name');
    return answer ? said(`Hello, ${answer.name}!`) : ask({ user_name: elicit('What is your name?', NAME) });
  },
};

// Tools that do something else.
const doing = {
  async test_tool_with_progress(_, { mcpReq }) {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
      await pause(50);
    }
    return said('Progress was reported.');
  },
  async test_logging_tool(_, { mcpReq }) {
    await mcpReq.log('info', 'Tool execution started', 'reference');
    await pause(20);
    return said('One message was logged, for who asked for it.');
  },
  async test_missing_capability(_, context) {
    if (!declared(context).sampling) needs({ sampling: {} });
    return said('The client declared sampling.');
  },
  async test_custom_header({ region, query }) {
    return said(`${region}: ${query}`);
  },
  async test_trigger_tool_change(_, __, changes) {
    changing.tool = !changing.tool;
    await changes.toolsChanged();
    return said('One tool came or went.');
  },
  async test_trigger_prompt_change(_, __, changes) {
    changing.prompt = !changing.prompt;
    await changes.promptsChanged();
    return said('One prompt came or went.');
  },
};

// What comes and goes.
const changing = { tool: true, prompt: true };

const FIXED = [...catalogue.fixedTools, catalogue.jsonSchemaTool, catalogue.progressTool];
const ASKING = Object.keys(asking).map((name) => tool(name, 'Asks its client before it answers'));
const HEADERED = tool('test_custom_header', 'Takes one argument in a header too', object({ region: { ...string, 'x-mcp-header': 'Region' }, query: string }, ['region']));
const OTHER = [
  tool('test_logging_tool', 'Logs at level info'),
  tool('test_missing_capability', 'Needs a client that offers its model'),
  HEADERED,
  tool('test_trigger_tool_change', 'Adds a tool, or removes it'),
  tool('test_trigger_prompt_change', 'Adds a prompt, or removes it'),
];
const TASKS = [
  tool('greet', 'Greets at once', object({ name: string })),
  tool('slow_compute', 'Computes for some seconds', object({ seconds: { type: 'number' } })),
  tool('failing_job', 'Fails after a moment; only as a task'),
  tool('protocol_error_job', 'Breaks'),
  tool('confirm_delete', 'Asks before it deletes', object({ filename: string }, [])),
  tool('multi_input', 'Asks two questions at once'),
  tool('test_tool_with_task', 'Asks for a name, then works as a task'),
];
const COMING = tool('test_coming_and_going', 'Is not always there');
const COMING_PROMPT = { name: 'test_coming_and_going_prompt', description: 'Is not always there' };
const ASKING_PROMPT = { name: 'test_input_required_result_prompt', description: 'Asks its client before it answers' };

const TASK_EXTENSION = 'io.modelcontextprotocol/tasks';
const tasks = new Map();

// A task and what it waits for.
class Task {
  constructor(work) {
    const now = new Date().toISOString();
    this.view = { taskId: randomUUID(), status: 'working', createdAt: now, lastUpdatedAt: now, ttlMs: 60_000, pollIntervalMs: 100 };
    this.waiting = new Map();
    tasks.set(this.view.taskId, this);
    this.done = work(this).then(
      (result) => this.#end({ status: 'completed', result: { resultType: 'complete', ...result } }),
      (error) => this.#end({ status: 'failed', error: { code: error.code ?? -32603, message: error.message } }),
    );
  }

  #end(outcome) {
    if (this.view.status !== 'cancelled') this.#change(outcome);
  }

  #change(view) {
    this.view = { ...this.view, ...view, lastUpdatedAt: new Date().toISOString() };
  }

  // Asks the questions and waits for all answers.
  ask(questions) {
    const answers = {};
    return new Promise((resolve) => {
      for (const [key, question] of Object.entries(questions)) {
        this.waiting.set(key, { question, answer: (value) => {
          answers[key] = value;
          this.waiting.delete(key);
          this.#change({ status: this.waiting.size ? 'input_required' : 'working' });
          if (!this.waiting.size) resolve(answers);
        } });
      }
      this.#change({ status: 'input_required' });
    });
  }

  cancel() {
    if (['working', 'input_required'].includes(this.view.status)) this.#change({ status: 'cancelled' });
  }

  // What tasks/get answers.
  get detailed() {
    if (this.view.status !== 'input_required') return this.view;
    return { ...this.view, inputRequests: Object.fromEntries([...this.waiting].map(([key, { question }]) => [key, question])) };
  }
}

// What runs as a task where the client takes tasks; `only` where it cannot run otherwise.
const working = {
  slow_compute: { work: ({ seconds = 0 }) => async () => { await pause(seconds * 1000); return said(`Computed for ${seconds} seconds.`); } },
  failing_job: { only: true, work: () => async () => { await pause(1000); return { isError: true, ...said('The job failed.') }; } },
  protocol_error_job: { work: () => async () => { throw Object.assign(new Error('The job broke.'), { code: -32603 }); } },
  confirm_delete: {
    questions: ({ filename = 'a file' }) => ({ confirm: elicit(`Delete ${filename}?`, { confirm: { type: 'boolean' } }) }),
    answer: ({ confirm }) => said(confirm.action === 'accept' ? 'Deleted.' : 'Kept.'),
  },
  multi_input: {
    questions: () => ({ first: elicit('First?', { value: string }), second: elicit('Second?', { value: string }) }),
    answer: (answers) => said(JSON.stringify(answers)),
  },
};

// A tool that asks does so from its task, or else by `input_required`.
function questioning({ questions, answer }, values, context, asTask) {
  if (asTask) return { resultType: 'task', ...new Task(async (task) => answer(await task.ask(questions(values)))).view };
  const asked = questions(values);
  const answers = responses(context);
  return Object.keys(asked).every((key) => answers[key]) ? answer(answers) : ask(asked);
}

async function call(name, values, context, changes) {
  if (catalogue.fixedResults[name]) return catalogue.fixedResults[name];
  if (name === catalogue.jsonSchemaTool.name || name === COMING.name) return said('Done.');
  if (name === 'greet') return said(`Hello, ${values.name}!`);
  if (asking[name]) return asking[name](context);
  if (doing[name]) return doing[name](values, context, changes);
  const asTask = Boolean(declared(context).extensions?.[TASK_EXTENSION]);
  if (name === 'test_tool_with_task') {
    if (!asTask) needs({ extensions: { [TASK_EXTENSION]: {} } });
    const user = accepted(context, 'user_name')?.name;
    if (user === undefined) return ask({ user_name: elicit('What is your name?', NAME) }, await states.mint({ asked: 'name' }));
    return { resultType: 'task', ...new Task(async () => { await pause(100); return said(`Worked for ${user}.`); }).view };
  }
  const job = working[name];
  if (!job) throw new sdk.ProtocolError(sdk.ProtocolErrorCode.InvalidParams, `Unknown tool: ${name}`);
  if (job.questions) return questioning(job, values, context, asTask);
  if (asTask) return { resultType: 'task', ...new Task(job.work(values)).view };
  if (job.only) needs({ extensions: { [TASK_EXTENSION]: {} } });
  const task = new Task(job.work(values));
  await task.done;
  if (task.view.error) throw new sdk.ProtocolError(task.view.error.code, task.view.error.message);
  return task.view.result;
}

// The methods of the tasks extension, for who declared it.
function serveTasks(server) {
  const params = sdk.fromJsonSchema({ type: 'object' });
  const on = (method, answer) =>
    server.setRequestHandler(method, { params }, async (values, context) => {
      if (!declared(context).extensions?.[TASK_EXTENSION]) needs({ extensions: { [TASK_EXTENSION]: {} } });
      const task = tasks.get(values.taskId);
      if (!task) throw new sdk.ProtocolError(sdk.ProtocolErrorCode.InvalidParams, 'Unknown task');
      return { resultType: 'complete', ...answer(task, values, context) };
    });
  on('tasks/get', (task) => task.detailed);
  on('tasks/cancel', (task) => void task.cancel() ?? {});
  on('tasks/update', (task, values, context) => {
    const given = values.inputResponses ?? context.mcpReq.inputResponses ?? {};
    for (const [key, value] of Object.entries(given)) task.waiting.get(key)?.answer(value);
    return {};
  });
}

function reference(changesOf) {
  const capabilities = {
    tools: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    prompts: { listChanged: true },
    completions: {},
    logging: {},
    extensions: { [TASK_EXTENSION]: {} },
  };
  const mcp = new sdk.McpServer({ name: 'reference', version: '1.0.0' }, { capabilities, requestState: { verify: states.verify } });
  // Registered so that the SDK holds its headers to its arguments; what is listed and called is up to the handlers below.
  mcp.registerTool(HEADERED.name, { inputSchema: sdk.fromJsonSchema(HEADERED.inputSchema) }, () => said(''));
  const { server } = mcp;
  const changes = changesOf(server);
  const on = (method, handler) => server.setRequestHandler(method, async ({ params }, context) => handler(params ?? {}, context));
  const cached = (result) => ({ ttlMs: 0, cacheScope: 'private', ...result });

  on('tools/list', () => cached({ tools: [...FIXED, ...ASKING, ...OTHER, ...TASKS, ...(changing.tool ? [COMING] : [])] }));
  on('tools/call', ({ name, arguments: values = {} }, context) => call(name, values, context, changes));
  on('resources/list', () => cached({ resources: catalogue.resources }));
  on('resources/templates/list', () => cached({ resourceTemplates: catalogue.templates }));
  on('resources/read', ({ uri }) => {
    const contents = catalogue.read(uri);
    if (!contents) throw new sdk.ResourceNotFoundError(uri);
    return cached(contents);
  });
  on('prompts/list', () => cached({ prompts: [...catalogue.prompts, ASKING_PROMPT, ...(changing.prompt ? [COMING_PROMPT] : [])] }));
  on('prompts/get', ({ name, arguments: values }, context) => {
    if (name === ASKING_PROMPT.name) {
      const answer = accepted(context, 'user_context');
      if (!answer) return ask({ user_context: elicit('What context should the prompt use?', { context: string }) });
      return { messages: [{ role: 'user', content: { type: 'text', text: `In the context of ${answer.context}.` } }] };
    }
    const messages = catalogue.prompt(name, values);
    if (!messages) throw new sdk.ProtocolError(sdk.ProtocolErrorCode.InvalidParams, `Unknown prompt: ${name}`);
    return messages;
  });
  on('completion/complete', ({ argument }) => catalogue.complete(argument.value));
  serveTasks(server);
  return mcp;
}

function listen(port, legacy) {
  const mcp = sdk.createMcpHandler(() => reference(() => mcp.notify), { legacy });
  const handler = toNodeHandler(mcp);
  const guards = [localhostHostValidation(), localhostOriginValidation()];
  const http = createServer((request, response) => {
    if (guards.every((passes) => passes(request, response))) handler(request, response);
  });
  http.listen(port, '127.0.0.1', () => console.error(`listening on http://127.0.0.1:${http.address().port}/mcp`));
}

// Over stdio the one connection is who hears of changes.
const overStdio = (server) => ({ toolsChanged: () => server.sendToolListChanged(), promptsChanged: () => server.sendPromptListChanged() });

const [where = 'stdio', only] = process.argv.slice(2);
if (where === 'stdio') serveStdio(() => reference(overStdio), { legacy: only ? 'reject' : 'serve' });
else listen(Number(where), only ? 'reject' : 'stateless');
