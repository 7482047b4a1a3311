// An OpenID provider at which people sign in, with PKCE and consent given: people.mjs PORT REDIRECT_URI
// Whoever comes is the account that the header `x-account` names; without one nobody is signed in.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const { default: Provider } = await import(pathToFileURL(`${process.env.INTEROP_DIR}/node_modules/oidc-provider/lib/index.js`));

const [port = '0', redirect] = process.argv.slice(2);
const alg = 'ES256';
const key = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' };
const http = createServer();
await new Promise((resolve) => http.listen(Number(port), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${http.address().port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: 'gateway', client_secret: 'secret', application_type: 'native', redirect_uris: [redirect], grant_types: ['authorization_code'], response_types: ['code'], id_token_signed_response_alg: alg }],
  jwks: { keys: [key] },
  cookies: { keys: [randomUUID()] },
  enabledJWA: { idTokenSigningAlgValues: [alg] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid');
    await grant.save();
    return grant;
  },
});
const answer = provider.callback();
http.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  const accountId = request.headers['x-account'];
  const result = accountId ? { login: { accountId }, consent: {} } : { error: 'access_denied', error_description: 'nobody is here' };
  provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
});
console.error(`listening on ${issuer}`);
