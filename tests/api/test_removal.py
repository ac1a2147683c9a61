"""Who is out of the call: no token from before (scenario 38), and nothing of what is said."""

from service.core.rights import TokenKind
from tests.api.front import problem


async def group(front):
    """Ana talks with ben and cleo."""
    call = await front.call("ana", "ben", "cleo")
    for user in ("ben", "cleo"):
        await front.post(f"/calls/{call['id']}/answer", {"user_id": user, "device_id": f"{user}-1"})
    return f"/calls/{call['id']}", call["id"]


async def test_38_the_old_token_is_revoked_for_good(front):
    path, call = await group(front)
    old, lasting = front.user("ben", call_id=call, kind=TokenKind.GUEST), front.user("ben")
    assert (await old.get(f"/v1{path}")).status_code == 200
    assert (await front.post(f"{path}/participants/ben/remove")).status_code == 200
    for again in (False, True):
        for act in ("join", "answer", "hangup"):
            problem(await front.post(f"{path}/{act}", by=old), 401, "token_revoked")
        for read in (path, f"{path}/events", "/calls"):
            problem(await old.get(f"/v1{read}"), 401, "token_revoked")
        assert (await lasting.get(f"/v1{path}")).status_code == 200
        if not again:
            await front.post(f"{path}/invite", {"participants": ["ben"]})
    fresh = front.user("ben", call_id=call)
    assert (await front.post(f"{path}/answer", {"device_id": "ben-2"}, by=fresh)).status_code == 200
    assert (await fresh.get("/v1/calls")).status_code == 200
    problem(await old.get(f"/v1{path}"), 401, "token_revoked")
    assert "tokens_from" not in (await fresh.get(f"/v1{path}")).text


async def test_38_a_ring_s_token_from_before_answers_no_later_ring(front):
    await front.online("dora")
    path, call = await group(front)
    await front.post(f"{path}/invite", {"participants": ["dora"]})
    ring, phone = await front.ring(call, "dora")
    await front.post(f"{path}/participants/dora/remove")
    await front.post(f"{path}/invite", {"participants": ["dora"]})
    problem(await phone.get(f"/v1/rings/{ring}"), 410, "ring_expired")
    problem(await front.post(f"/rings/{ring}/answer", by=phone), 401, "token_revoked")


async def test_who_left_does_not_read_what_is_said(front):
    path, _ = await group(front)
    await front.post(f"{path}/hangup", {"user_id": "cleo"})
    said = {"user_id": "ana", "type": "chat", "data": {"text": "gone at last"}}
    assert (await front.post(f"{path}/signal", said)).status_code == 200
    problem(await front.post(f"{path}/signal", {**said, "to": ["cleo"]}), 403, "not_participant")
    heard = {}
    for user in ("ben", "cleo"):
        events = (await front.user(user).get(f"/v1{path}/events")).json()["items"]
        heard[user] = events[-1]["data"]
    assert heard["ben"]["signal"]["data"] == {"text": "gone at last"}
    assert (heard["cleo"]["signal"]["data"], heard["cleo"]["redacted"]) == (None, True)
