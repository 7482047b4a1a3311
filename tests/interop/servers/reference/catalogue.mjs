// What the reference servers of both eras offer: the names that the conformance suite asks for, and what is always answered alike.
const text = (value) => ({ type: 'text', text: value });
const said = (value) => ({ content: [text(value)] });

// One red pixel, and eight bytes of silence.
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC';
const WAV = 'UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAACAgICAgICAgA==';
const image = { type: 'image', data: PNG, mimeType: 'image/png' };
const embedded = (uri, mimeType, value) => ({ type: 'resource', resource: { uri, mimeType, text: value } });

const object = (properties = {}, required = Object.keys(properties)) => ({ type: 'object', properties, ...(required.length ? { required } : {}) });
const string = { type: 'string' };

// Tools whose answer never changes: name, what it shows, the result.
const FIXED = [
  ['test_simple_text', 'a text', said('This is a simple text response for testing.')],
  ['test_image_content', 'an image', { content: [image] }],
  ['test_audio_content', 'audio', { content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] }],
  ['test_embedded_resource', 'an embedded resource', { content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')] }],
  [
    'test_multiple_content_types',
    'a text, an image and a resource',
    { content: [text('Multiple content types test:'), image, embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}')] },
  ],
  ['test_error_handling', 'an error', { isError: true, ...said('This tool intentionally returns an error for testing') }],
];

const fixedTools = FIXED.map(([name, what]) => ({ name, description: `Answers with ${what}`, inputSchema: object() }));
const fixedResults = Object.fromEntries(FIXED.map(([name, , result]) => [name, result]));

// Every kind of keyword that a gateway might lose on the way.
const jsonSchemaTool = {
  name: 'json_schema_2020_12_tool',
  description: 'Takes what a schema of the 2020-12 dialect describes',
  inputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: string, city: string } } },
    properties: { name: string, address: { $ref: '#/$defs/address' }, contactMethod: { type: 'string', enum: ['phone', 'email'] }, phone: string, email: string },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
  },
};

const tool = (name, description, inputSchema = object()) => ({ name, description, inputSchema });

const progressTool = tool('test_tool_with_progress', 'Reports progress three times');
const loggingTool = tool('test_tool_with_logging', 'Logs three times at level info');

// The form of `elicitation/create` with a default of every primitive type (SEP-1034).
const defaultsForm = object(
  {
    name: { type: 'string', default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
  },
  [],
);

// The form with every kind of choice (SEP-1330).
const titled = (prefix, names) => names.map((title, index) => ({ const: `${prefix}${index + 1}`, title }));
const OPTIONS = ['option1', 'option2', 'option3'];
const enumsForm = object(
  {
    untitledSingle: { type: 'string', enum: OPTIONS },
    titledSingle: { type: 'string', oneOf: titled('value', ['First Option', 'Second Option', 'Third Option']) },
    legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
    untitledMulti: { type: 'array', items: { type: 'string', enum: OPTIONS } },
    titledMulti: { type: 'array', items: { anyOf: titled('value', ['First Choice', 'Second Choice', 'Third Choice']) } },
  },
  [],
);

const resources = [
  { uri: 'test://static-text', name: 'Static Text Resource', description: 'A text that never changes', mimeType: 'text/plain' },
  { uri: 'test://static-binary', name: 'Static Binary Resource', description: 'An image that never changes', mimeType: 'image/png' },
  { uri: 'test://watched-resource', name: 'Watched Resource', description: 'May be subscribed to', mimeType: 'text/plain' },
];
const templates = [{ uriTemplate: 'test://template/{id}/data', name: 'Resource Template', description: 'Says which id was asked for', mimeType: 'application/json' }];

const CONTENTS = {
  'test://static-text': { mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
  'test://static-binary': { mimeType: 'image/png', blob: PNG },
  'test://watched-resource': { mimeType: 'text/plain', text: 'Watched resource content' },
};

// What stands at a URI, or undefined.
function read(uri) {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  const found = id
    ? { mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }
    : CONTENTS[uri];
  return found && { contents: [{ uri, ...found }] };
}

const argument = (name, description) => ({ name, description, required: true });
const prompts = [
  { name: 'test_simple_prompt', description: 'A prompt without arguments' },
  { name: 'test_prompt_with_arguments', description: 'A prompt with two arguments', arguments: [argument('arg1', 'The first one'), argument('arg2', 'The second one')] },
  { name: 'test_prompt_with_embedded_resource', description: 'A prompt that embeds a resource', arguments: [argument('resourceUri', 'What to embed')] },
  { name: 'test_prompt_with_image', description: 'A prompt with an image' },
];

const user = (...parts) => ({ messages: parts.map((content) => ({ role: 'user', content })) });

// The messages of a prompt, or undefined.
function prompt(name, values = {}) {
  switch (name) {
    case 'test_simple_prompt':
      return user(text('This is a simple prompt for testing.'));
    case 'test_prompt_with_arguments':
      return user(text(`Prompt with arguments: arg1='${values.arg1}', arg2='${values.arg2}'`));
    case 'test_prompt_with_embedded_resource':
      return user(embedded(values.resourceUri, 'text/plain', 'Embedded resource content for testing.'), text('Please process the embedded resource above.'));
    case 'test_prompt_with_image':
      return user(image, text('Please analyze the image above.'));
  }
}

const WORDS = ['paris', 'park', 'party', 'test', 'testing'];

// What completes an argument.
function complete(value) {
  const values = WORDS.filter((word) => word.startsWith(value));
  return { completion: { values, total: values.length, hasMore: false } };
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export { complete, defaultsForm, enumsForm, fixedResults, fixedTools, jsonSchemaTool, loggingTool, object, pause, progressTool, prompt, prompts, read, resources, said, string, templates, tool };
