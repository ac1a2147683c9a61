-- A database that has seen years of calls: what the plans of hot statements are tried on.
-- Ids sort by time, as UUIDv7 do; call n was made n minutes after the first, so ids can be computed.
CREATE FUNCTION pg_temp.call_id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$SELECT (lpad(to_hex(1700000000000 + n * 60000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid$$;

INSERT INTO apps (id, name) SELECT CASE n WHEN 0 THEN 'app' ELSE 'other' || n END, 'x' FROM generate_series(0, 9) n;

INSERT INTO users (app_id, id) SELECT 'app', 'u' || n FROM generate_series(0, 19999) n;

INSERT INTO devices (app_id, user_id, id, platform, push)
SELECT 'app', 'u' || n, 'd', 'web', '{}' FROM generate_series(0, 19999) n;

INSERT INTO replicas (id, lease_until) SELECT gen_random_uuid(), now() + interval '1 h' FROM generate_series(1, 3);

INSERT INTO connections (id, app_id, user_id, device_id, platform, replica_id)
SELECT gen_random_uuid(), 'app', 'u' || n, 'd', 'web', (SELECT id FROM replicas LIMIT 1)
FROM generate_series(0, 9999) n;

INSERT INTO absences (app_id, user_id, device_id, platform, rings, connected_at, until)
SELECT 'app', 'u' || n, 'd', 'web', true, now(), now() + (n - 5000) * interval '10 s' FROM generate_series(10000, 19999) n;

INSERT INTO calls (id, app_id, version, state, ended_at, body)
SELECT pg_temp.call_id(n), CASE n % 10 WHEN 0 THEN 'app' ELSE 'other' || n % 10 END, 5, 'ended', now(), '{}'
FROM generate_series(1, 100000) n;

INSERT INTO calls (id, app_id, version, state, deadline_at, body)
SELECT pg_temp.call_id(n), 'app', 2, 'ringing', now() + (n % 60 + 60) * interval '1 s', '{}'
FROM generate_series(100001, 105000) n;

UPDATE calls SET media_host = (SELECT id::text FROM replicas LIMIT 1) WHERE id > pg_temp.call_id(104900);
UPDATE calls SET media_host = '' WHERE id > pg_temp.call_id(104990);

INSERT INTO quality_samples (call_id, at, text)
SELECT pg_temp.call_id(n / 10 + 1), now() - (100000 - n) * interval '30 s', '{}' FROM generate_series(1, 100000) n;

INSERT INTO call_users (app_id, user_id, call_id, missed)
SELECT app_id, 'u' || (row_number() OVER ()) % 20000, id, random() < 0.1 FROM calls;

INSERT INTO engagements (app_id, user_id, slot, call_id)
SELECT 'app', 'u' || n, 0, pg_temp.call_id(100000 + n) FROM generate_series(1, 5000) n;

-- The transactions are those that a young server has behind it.
INSERT INTO events (stream, seq, event_id, app_id, type, tx, text)
SELECT k.id, s, gen_random_uuid(), k.app_id, 'call.created', (3 + k.n / 200)::text::xid8, '{}'
FROM (SELECT id, app_id, row_number() OVER (ORDER BY id) AS n FROM calls) k, generate_series(1, 3) s;

INSERT INTO events (stream, seq, event_id, app_id, type, tx, text)
SELECT md5('u' || n)::uuid, s, gen_random_uuid(), 'app', 'presence.changed', (3 + n / 50)::text::xid8, '{}'
FROM generate_series(0, 19999) n, generate_series(1, 2) s;

INSERT INTO webhooks (id, app_id, url, types, patterns, secret)
SELECT gen_random_uuid(), 'app', 'x', '{}', '{%}', 's' FROM generate_series(1, 3);

INSERT INTO deliveries (webhook_id, stream, seq, state)
SELECT w.id, e.stream, e.seq, CASE WHEN random() < 0.001 THEN 'pending' ELSE 'delivered' END
FROM events e, (SELECT id FROM webhooks LIMIT 1) w;

INSERT INTO alerts (id, app_id, call_id, user_id, kind, channel, lane, state, next_attempt_at, until, created_at)
SELECT gen_random_uuid(), 'app', pg_temp.call_id(n), 'u' || n % 20000, 'ring', 'apns', 'apns:app',
       CASE WHEN n % 1000 = 0 THEN 'pending' ELSE 'sent' END, now(), now() + interval '1 min',
       now() - (100000 - n) * interval '30 s'
FROM generate_series(1, 100000) n;

INSERT INTO idempotency_keys (app_id, principal, key, fingerprint, call_id, created_at)
SELECT app_id, 'key', id::text, '', id, now() - random() * interval '1 day' FROM calls;

INSERT INTO presence_sources (app_id, user_id, source, facts, expires_at)
SELECT 'app', 'u' || n, 'desk', '{}', now() + interval '1 h' FROM generate_series(1, 10000) n;
