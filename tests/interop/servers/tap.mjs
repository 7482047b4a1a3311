// A proxy that shows on stdout, one JSON line a request, what a client sends, and answers 401 where TOKEN is given and missing: tap.mjs PORT URL [TOKEN]
import { createServer, request as forward } from 'node:http';

const [port, url, token] = process.argv.slice(2);
const shown = ['accept', 'mcp-protocol-version', 'mcp-session-id', 'mcp-method', 'mcp-name', 'last-event-id', 'user-agent', 'connection', 'origin'];

const tap = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const authorized = !token || request.headers.authorization === `Bearer ${token}`;
  const headers = Object.fromEntries(shown.filter((name) => name in request.headers).map((name) => [name, request.headers[name]]));
  const line = { http: request.method, path: request.url, headers };
  if (token) line.authorized = authorized;
  if (body.length) line.body = JSON.parse(body);
  const show = (status) => console.log(JSON.stringify({ ...line, status }));
  if (!authorized) {
    show(401);
    response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
    return;
  }
  const target = new URL(url);
  const upstream = forward(target, { method: request.method, headers: { ...request.headers, host: target.host } }, (answer) => {
    show(answer.statusCode);
    response.writeHead(answer.statusCode, answer.headers);
    response.flushHeaders();
    answer.pipe(response);
  });
  upstream.on('error', () => response.destroy());
  response.on('close', () => upstream.destroy());
  upstream.end(body);
});
tap.listen(Number(port), '127.0.0.1', () => console.error(`listening on http://127.0.0.1:${tap.address().port}/mcp`));
