"""Signatures of webhooks, checked by npm's `standardwebhooks` and `svix` (PyPI's are in tests/dispatch)."""

import base64
import json
import time

import pytest

from service.wire.signatures import headers, new_secret
from tests.outside.conftest import ran

pytestmark = pytest.mark.timeout(240)

BODY = json.dumps({"type": "call.ended", "data": {"name": "Zoë 💜"}}, ensure_ascii=False).encode()
ID = "0198c5f0-0000-7000-8000-000000000001"
VERIFY = """
import * as standardwebhooks from 'standardwebhooks';
import * as svix from 'svix';
let text = '';
for await (const part of process.stdin) text += part;
const accepts = (Webhook, each) => {
    try { return Boolean(new Webhook(each.secret).verify(Buffer.from(each.body, 'base64'), each.headers)); }
    catch (fault) { return fault.name; }
};
const told = JSON.parse(text).map(each => [accepts(standardwebhooks.Webhook, each), accepts(svix.Webhook, each)]);
console.log(JSON.stringify(told));
"""


async def judged(node, *cases):
    """What both libraries say of (secret, headers, body)."""
    program, folder = node
    script = folder / "verify.mjs"
    script.write_text(VERIFY)
    asked = [
        {"secret": secret, "headers": told, "body": base64.b64encode(body).decode()} for secret, told, body in cases
    ]
    return json.loads(await ran(program, script, said=json.dumps(asked).encode()))


async def test_both_accept_what_we_sign_also_while_a_secret_is_rotated(node):
    old, new = new_secret(), new_secret()
    now = int(time.time())
    both = headers([new, old], ID, now, BODY)
    said = await judged(node, (old, headers([old], ID, now, BODY), BODY), (old, both, BODY), (new, both, BODY))
    assert said == [[True, True]] * 3


async def test_both_refuse_what_was_changed(node):
    secret, now = new_secret(), int(time.time())
    told = headers([secret], ID, now, BODY)
    changed = [
        (secret, told, BODY + b" "),
        (secret, {**told, "webhook-id": "another"}, BODY),
        (secret, {**told, "webhook-timestamp": str(now - 1)}, BODY),
        (secret, headers([secret], ID, now - 3600, BODY), BODY),
        (secret, {**told, "webhook-signature": "v1," + "A" * 43 + "="}, BODY),
        (new_secret(), told, BODY),
    ]
    assert await judged(node, *changed) == [["WebhookVerificationError"] * 2] * len(changed)
