"""A whole call by the client that openapi-python-client makes of the description."""

import json
import sys
from uuid import UUID

from calling.api.calls import ack_call, answer_call, create_call, get_call, hang_up_call, list_call_events
from calling.client import AuthenticatedClient
from calling.models import AckCall, Act, AnswerCall, CallType, CreateCall


def play(base_url, key, caller, callee):
    client = AuthenticatedClient(base_url=base_url, token=key)
    body = CreateCall(initiator=caller, participants=[callee], call_type=CallType.AUDIO_ONLY)
    call_id = create_call.sync(client=client, body=body).call.id
    ack_call.sync(call_id, client=client, body=AckCall(user_id=callee, device_id="phone"))
    answered = answer_call.sync(call_id, client=client, body=AnswerCall(user_id=callee, device_id="phone"))
    hang_up_call.sync(call_id, client=client, body=Act(user_id=caller))
    call = get_call.sync(call_id, client=client)
    page = list_call_events.sync(call_id, client=client, limit=200)
    refused = get_call.sync(UUID("00000000-0000-7000-8000-000000000000"), client=client)
    return {
        "call_id": str(call.id),
        "answered": answered.call.state,
        "state": call.state,
        "end_reason": call.end_reason,
        "legs": [leg.user_id for leg in call.legs],
        "events": [event.type_ for event in page.items],
        "refused": refused.code,
    }


sys.stdout.write(json.dumps(play(*sys.argv[1:])))
