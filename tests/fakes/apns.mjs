// Stands in for Apple's push service, as its documentation describes it: HTTP/2 by Node, provider tokens checked by
// Node's own crypto. What it says to a device token stands in the token: hexadecimal for words like `gone 1763600000000`.
//
// One argument in JSON: {log, pem, keys: {kid: {team, pem}}, topics, every, abrupt, lifetime_s, patient}. After `every` requests a
// connection gets GOAWAY, and is torn down a moment later; `abrupt`: in the same moment. `patient`: provider tokens may be
// renewed at any time. On stdout it says its port, and then something for each request, which stands in the file `log` as
// a line in JSON before it is answered. It ends with its stdin.
import { createPublicKey, verify } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { createSecureServer, createServer } from 'node:http2';

const config = JSON.parse(process.argv[2]);
const keys = new Map(Object.entries(config.keys).map(([kid, { team, pem }]) => [kid, { team, key: createPublicKey(pem) }]));
const shown = new Map(); // the latest provider token of each key
const seen = new Set();
let sessions = 0;

const refused = (status, reason, more = {}, headers = {}) => ({ status, body: { reason, ...more }, headers });
const parsed = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());

function signedIn(session, authorization) {
  const [scheme, jwt] = (authorization ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'bearer' || !jwt) return refused(403, 'MissingProviderToken');
  let head, claims;
  const parts = jwt.split('.');
  try {
    [head, claims] = [parsed(parts[0]), parsed(parts[1])];
  } catch {
    return refused(403, 'InvalidProviderToken');
  }
  const known = keys.get(head.kid);
  const signature = { key: known?.key, dsaEncoding: 'ieee-p1363' };
  const good = known && head.alg === 'ES256' && claims.iss === known.team && Number.isInteger(claims.iat)
    && verify('sha256', Buffer.from(`${parts[0]}.${parts[1]}`), signature, Buffer.from(parts[2] ?? '', 'base64url'));
  if (!good) return refused(403, 'InvalidProviderToken');
  if (Math.abs(Date.now() / 1000 - claims.iat) > (config.lifetime_s ?? 3600)) return refused(403, 'ExpiredProviderToken');
  // A connection belongs to the first key that it hears.
  session.kid ??= head.kid;
  if (session.kid !== head.kid) return refused(403, keys.get(session.kid).team === known.team ? 'UnrelatedKeyIdInToken' : 'InvalidProviderToken');
  const latest = config.patient ? null : shown.get(head.kid);
  if (latest && latest.jwt !== jwt && Math.abs(claims.iat - latest.iat) < 20 * 60) return refused(429, 'TooManyProviderTokenUpdates');
  shown.set(head.kid, { jwt, iat: claims.iat });
  if (!session.trusted && !session.closed && !session.destroyed) session.settings({ maxConcurrentStreams: 1000 });
  session.trusted = true;
  return null;
}

function formed(headers, payload, bytes) {
  const type = headers['apns-push-type'];
  const topic = headers['apns-topic'];
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(headers['apns-id'])) return refused(400, 'BadMessageId');
  if (!['alert', 'background', 'voip'].includes(type)) return refused(400, 'InvalidPushType');
  if (!['5', '10'].includes(headers['apns-priority'])) return refused(400, 'BadPriority');
  if (type === 'background' && headers['apns-priority'] !== '5') return refused(400, 'BadPriority');
  if (!/^\d+$/.test(headers['apns-expiration'])) return refused(400, 'BadExpirationDate');
  if ((headers['apns-collapse-id'] ?? '').length > 64) return refused(400, 'BadCollapseId');
  if (!topic) return refused(400, 'MissingTopic');
  if (!config.topics.includes(topic.replace(/\.voip$/, ''))) return refused(400, 'TopicDisallowed');
  if (topic.endsWith('.voip') !== (type === 'voip')) return refused(400, 'BadTopic');
  if (bytes > (type === 'voip' ? 5120 : 4096)) return refused(413, 'PayloadTooLarge');
  if (typeof payload?.aps !== 'object') return refused(400, 'PayloadEmpty');
  return null;
}

function answer(word, argument) {
  switch (word) {
    case 'gone': return refused(410, 'Unregistered', argument ? { timestamp: Number(argument) } : {});
    case 'outlived': return refused(410, 'ExpiredToken');
    case 'bad': return refused(400, 'BadDeviceToken');
    case 'other': return refused(400, 'DeviceTokenNotForTopic');
    case 'idle': return refused(400, 'IdleTimeout');
    case 'large': return refused(413, 'PayloadTooLarge');
    case 'busy': return refused(429, 'TooManyRequests', {}, argument ? { 'retry-after': argument } : {});
    case 'broken': return refused(500, 'InternalServerError');
    case 'down': return refused(503, 'ServiceUnavailable', {}, argument ? { 'retry-after': argument } : {});
    case 'expired': return refused(403, 'ExpiredProviderToken');
    case 'invalid': return refused(403, 'InvalidProviderToken');
    case 'flood': return { status: 400, body: { reason: 'x'.repeat(1e6) }, headers: {} };
    case 'hostile': return refused(400, 'a\u0000b\u001b[31mc');
    case 'html': return { status: 502, text: '<html>Bad Gateway</html>', headers: { 'content-type': 'text/html' } };
    default: return { status: 200, headers: {} };
  }
}

function told(session, stream, headers, text) {
  const token = (headers[':path'].match(/^\/3\/device\/([^/]+)$/) ?? [])[1] ?? '';
  let [word, argument, ...more] = Buffer.from(token, 'hex').toString().split(' ');
  // `once` and something: that for the first request alone.
  if (word === 'once') [word, argument] = seen.has(token) ? ['ok'] : [argument, ...more];
  seen.add(token);
  let payload;
  try {
    payload = JSON.parse(text);
  } catch { /* formed() says so */ }
  const said = headers[':method'] !== 'POST' ? refused(405, 'MethodNotAllowed')
    : !token ? refused(404, 'BadPath')
    : signedIn(session, headers.authorization) ?? formed(headers, payload, Buffer.byteLength(text))
      ?? (/^0+$/.test(token) ? refused(400, 'BadDeviceToken') : answer(word, argument));
  if (word === 'hang') session.hangs = true;
  const silent = session.hangs || (said.status === 200 && word === 'silent');
  const torn = said.status === 200 && word === 'torn';
  const status = silent || torn ? null : said.status;
  const { authorization, ...rest } = headers;
  appendFileSync(config.log, JSON.stringify({ at: Date.now(), session: session.number, token, status,
    reason: said.body?.reason ?? null, authorization, headers: rest, payload }) + '\n');
  console.log('got one');
  if (torn) session.destroy();
  if (status === null || stream.destroyed) return;
  stream.respond({ ':status': status, 'apns-id': headers['apns-id'] ?? '', ...said.headers });
  stream.end(said.text ?? (said.body ? JSON.stringify(said.body) : ''));
}

// Until it has seen a good provider token, Apple takes one request at a time.
const settings = { settings: { maxConcurrentStreams: 1 } };
const pem = config.pem && readFileSync(config.pem);
const server = pem ? createSecureServer({ key: pem, cert: pem, ...settings }) : createServer(settings);
server.on('session', (session) => {
  session.number = ++sessions;
  session.requests = 0;
  session.on('error', () => {});
});
server.on('sessionError', () => {});
server.on('stream', (stream, headers) => {
  const { session } = stream;
  stream.on('error', () => {});
  if (!session || session.destroyed) return; // torn down in the meantime
  let text = '';
  stream.on('data', (chunk) => { text += chunk; });
  stream.on('end', () => stream.aborted || told(session, stream, headers, text));
  session.requests += 1;
  if (config.every && session.requests === config.every) {
    session.goaway(0, stream.id);
    if (config.abrupt) session.destroy();
    else setTimeout(() => session.destroy(), 20);
  }
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
