"""Roles over REST: nobody makes moderators who is none (O-07)."""

from service.core.vocabulary import Role
from tests.api.front import problem

MODERATOR = {"user_id": "cleo", "role": "moderator"}


def roles(answer):
    assert answer.status_code in {200, 201}, answer.text
    return {leg["user_id"]: leg["role"] for leg in answer.json()["call"]["legs"]}


async def test_a_publisher_makes_no_moderators(front):
    ana = front.user("ana")
    answer = await front.post("/calls", {"participants": ["ben", MODERATOR]}, by=ana)
    problem(answer, 403, "not_authorized")
    call = await front.talking()
    answer = await front.post(f"/calls/{call['id']}/invite", {"participants": [MODERATOR]}, by=ana)
    problem(answer, 403, "not_authorized")
    assert "cleo" not in {leg["user_id"] for leg in (await front.http.get(f"/v1/calls/{call['id']}")).json()["legs"]}


async def test_a_moderator_and_a_backend_do(front):
    moderator = front.user("ana", role=Role.MODERATOR)
    answer = await front.post("/calls", {"participants": ["ben", MODERATOR]}, by=moderator)
    assert roles(answer) == {"ana": "moderator", "ben": "publisher", "cleo": "moderator"}
    answer = await front.post(
        "/calls", {"initiator": "dora", "participants": [{"user_id": "eve", "role": "moderator"}]}
    )
    assert roles(answer) == {"dora": "publisher", "eve": "moderator"}


async def test_a_subscriber_brings_in_subscribers(front):
    answer = await front.post("/calls", {"participants": ["ben"]}, by=front.user("ana", role=Role.SUBSCRIBER))
    assert roles(answer) == {"ana": "subscriber", "ben": "subscriber"}
