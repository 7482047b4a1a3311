// An OpenID provider with one key that is made when it starts, so that a restart rotates it: oidc.mjs PORT ALGORITHM RESOURCE
// `agent` gets plain access tokens, `mailhook` ones that describe a trigger, both by client_credentials with the secret `secret`.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const { default: Provider } = await import(pathToFileURL(`${process.env.INTEROP_DIR}/node_modules/oidc-provider/lib/index.js`));

const [port = '0', alg = 'ES256', resource] = process.argv.slice(2);
const kinds = { ES256: ['ec', { namedCurve: 'P-256' }], EdDSA: ['ed25519', {}], RS256: ['rsa', { modulusLength: 2048 }], PS256: ['rsa', { modulusLength: 2048 }] };
const key = { ...generateKeyPairSync(...kinds[alg]).privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' };
const client = (client_id) => ({ client_id, client_secret: 'secret', grant_types: ['client_credentials'], response_types: [], redirect_uris: [], id_token_signed_response_alg: alg });
const trigger = () => ({ txn: randomUUID(), tctx: { src: [{ kind: 'email', sender: 'boss@acme.example', auth: 'dkim-pass' }], goal: 'triage_mail' } });

const http = createServer();
await new Promise((resolve) => http.listen(Number(port), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${http.address().port}`;
const provider = new Provider(issuer, {
  clients: [client('agent'), client('mailhook')],
  jwks: { keys: [key] },
  enabledJWA: { idTokenSigningAlgValues: [alg], dPoPSigningAlgValues: ['ES256', 'EdDSA'] },
  extraTokenClaims: (_, token) => ({ roles: ['assistant'], ...(token.clientId === 'mailhook' ? trigger() : {}) }),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    dPoP: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: () => ({ scope: 'mcp', audience: resource, accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg } } }),
    },
  },
});
http.on('request', provider.callback());
console.error(`listening on ${issuer}`);
