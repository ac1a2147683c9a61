// A whole call by the client that openapi-typescript and openapi-fetch make of the description.
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

const [baseUrl, key, caller, callee] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

function had<T>(answer: { data?: T; error?: unknown }): T {
    if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
    return answer.data;
}

const body = { initiator: caller, participants: [callee], call_type: 'audio_only' as const };
const placed = had(await client.POST('/v1/calls', { body: body as components['schemas']['CreateCall'] }));
const path = { call_id: placed.call.id };
had(await client.POST('/v1/calls/{call_id}/ack', { params: { path }, body: { user_id: callee, device_id: 'phone', alerting: true } }));
const answered = had(await client.POST('/v1/calls/{call_id}/answer', {
    params: { path },
    body: { user_id: callee, device_id: 'phone', call_waiting: 'hold_and_accept' },
}));
had(await client.POST('/v1/calls/{call_id}/hangup', { params: { path }, body: { user_id: caller } }));
const call = had(await client.GET('/v1/calls/{call_id}', { params: { path } }));
const page = had(await client.GET('/v1/calls/{call_id}/events', { params: { path, query: { limit: 200 } } }));
const refused = await client.GET('/v1/calls/{call_id}', { params: { path: { call_id: '00000000-0000-7000-8000-000000000000' } } });
const told = {
    call_id: call.id,
    answered: answered.call.state,
    state: call.state,
    end_reason: call.end_reason,
    legs: call.legs.map(leg => leg.user_id),
    events: page.items.map(event => event.type),
    refused: refused.error?.code,
};
console.log(JSON.stringify(told));
