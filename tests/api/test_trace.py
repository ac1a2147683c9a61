"""Why did my phone not ring? One GET, in words or as a picture."""

from xml.etree import ElementTree as ET

import pytest

from tests.api.front import problem

JSON, SVG = "application/json", "image/svg+xml"


async def rung(front):
    """A call that rings for ben and for nobody else."""
    await front.online("ben")
    call = await front.call("ana", "ben", "cleo")
    await front.post(f"/calls/{call['id']}/ack", {"user_id": "ben", "device_id": "ben-1"})
    return call["id"]


async def test_in_words(front):
    call_id = await rung(front)
    answer = await front.http.get(f"/v1/calls/{call_id}/trace")
    assert answer.status_code == 200
    assert (answer.headers["content-type"], answer.headers["vary"]) == (JSON, "accept")
    told = answer.json()
    assert (told["call_id"], told["state"], told["initiator"]) == (call_id, "ringing", "ana")
    assert told["summary"] == "ana called ben and cleo; ringing"
    assert [(leg["user_id"], leg["rang"]) for leg in told["legs"]] == [("ana", False), ("ben", True), ("cleo", False)]
    assert told["legs"][2]["verdict"] == "no device registered that could ring: none is connected, none has push yet"
    (device,) = told["legs"][1]["devices"]
    assert device["device_id"] == "ben-1"
    assert device["verdict"].startswith("rang over its socket after ")
    assert [proof["what"] for proof in device["proofs"]] == ["queued", "sent", "alerting"]
    lanes = {lane["id"]: lane for lane in told["lanes"]}
    steps = [(step["kind"], lanes[step["from"]]["kind"], lanes[step["to"]]["kind"]) for step in told["timeline"]]
    assert ("command", "backend", "service") in steps
    assert ("alert", "service", "device") in steps
    assert ("ack", "device", "service") in steps


async def test_as_a_picture(front):
    call_id = await rung(front)
    answer = await front.http.get(f"/v1/calls/{call_id}/trace", headers={"accept": SVG})
    assert answer.status_code == 200
    assert (answer.headers["content-type"], answer.headers["vary"]) == (SVG, "accept")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    root = ET.fromstring(answer.text)  # noqa: S314 - made by this project itself
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "ben-1" in answer.text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", JSON),
        ("", JSON),
        ("application/*", JSON),
        ("text/html, application/json;q=0.9", JSON),
        ("image/*", SVG),
        ("IMAGE/SVG+XML; charset=utf-8", SVG),
        ("image/svg+xml, */*", SVG),
        ("image/svg+xml;q=0.5, application/json;q=0.4", SVG),
        ("image/svg+xml;q=0, */*", JSON),
        ("image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8", SVG),
        ("application/json;q=nonsense", JSON),
        ("text/html", None),
        ("image/png", None),
        ("application/json;q=0", None),
        ("*/*;q=0", None),
    ],
)
async def test_the_kind_that_is_asked_for(front, accept, kind):
    call_id = await rung(front)
    answer = await front.http.get(f"/v1/calls/{call_id}/trace", headers={"accept": accept})
    if kind is None:
        problem(answer, 406, "not_acceptable")
    else:
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


async def test_a_user_is_shown_its_own_part(front):
    call_id = await rung(front)
    told = (await front.user("ben").get(f"/v1/calls/{call_id}/trace")).json()
    assert [leg["user_id"] for leg in told["legs"]] == ["ben"]
    assert {lane["user_id"] for lane in told["lanes"]} == {"ben", None}
    assert told["notes"] == ["this is your own part of the call"]
    picture = (await front.user("ben").get(f"/v1/calls/{call_id}/trace", headers={"accept": SVG})).text
    assert "not rung: cleo" not in picture


async def test_who_may_not_see_it(front, other):
    call_id = await rung(front)
    problem(await front.user("dora").get(f"/v1/calls/{call_id}/trace"), 404, "not_found")
    problem(await other.http.get(f"/v1/calls/{call_id}/trace"), 404, "not_found")
    problem(await front.client("").get(f"/v1/calls/{call_id}/trace"), 401, "not_authenticated")
    _, phone = await front.ring(call_id, "ben")
    problem(await phone.get(f"/v1/calls/{call_id}/trace"), 403, "not_authorized")
    await front.post(f"/calls/{call_id}/participants/ben/remove")
    problem(await front.user("ben").get(f"/v1/calls/{call_id}/trace"), 403, "not_participant")


async def test_what_is_overdue_is_settled_first(front):
    call = await front.call("ana", "ben")
    await front.make_older(call["id"], 61)
    told = (await front.http.get(f"/v1/calls/{call['id']}/trace")).json()
    assert (told["state"], told["end_reason"], told["sip_status"], told["q850_cause"]) == (
        "ended",
        "unreachable",
        480,
        20,
    )
    assert any(step["kind"] == "timer" for step in told["timeline"])


async def test_every_invitation_has_its_part(front):
    await front.online("ben")
    call = await front.call("ana", "ben", "cleo")
    url = f"/calls/{call['id']}"
    await front.post(f"{url}/decline", {"user_id": "ben", "device_id": "ben-1"})
    await front.post(f"{url}/invite", {"participants": ["ben"]})
    told = (await front.http.get(f"/v1{url}/trace")).json()
    legs = [(leg["user_id"], leg["attempt"], leg["state"]) for leg in told["legs"]]
    assert legs[1:3] == [("ben", 1, "declined"), ("ben", 2, "invited")]
    assert told["legs"][1]["verdict"].startswith("ben-1: ")
