import random
from itertools import pairwise

import pytest
from aiortc import RTCConfiguration

from service.media.worker.sdp import OfferError
from tests.media.worker.recorded import NAMES, offer
from tests.media.worker.rooms.clients import Picture, Tone
from tests.media.worker.test_sdp_fuzz import mutated


async def stream(scene, user, source="camera"):
    """The id of the user's stream."""
    found = await scene.report("stream.created", user_id=user, source=source)
    return found["stream"]["stream_id"]


async def test_what_one_sends_the_other_sees_and_hears(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await anna.publish(Tone(), Picture(200))
    await bert.watch()
    await scene.report("peer.up", user_id="anna", device_id="anna-device")
    created = await scene.report("stream.created", count=2)
    streams = {each["stream"]["kind"]: each["stream"] for each in created}
    stream_ids = [each["stream_id"] for each in streams.values()]
    assert streams["audio"] == {
        "stream_id": streams["audio"]["stream_id"],
        "kind": "audio",
        "source": "microphone",
        "name": None,
        "codec": "opus",
        "layers": [],
        "muted": False,
    }
    assert (streams["video"]["source"], streams["video"]["codec"]) == ("camera", "VP8")
    slots = await scene.shown("bert", *stream_ids)
    assert {row["user_id"] for row in slots.values()} == {"anna"}
    await bert.screen("1").see(200)
    await bert.screen("0").more()


async def test_one_connection_for_everything(scene):
    for user, brightness in (("anna", 200), ("bert", 60)):
        client = scene.join(user)
        pc = client.open("pub", RTCConfiguration(iceServers=[]))  # as they come out of the box
        pc.addTrack(Tone())
        pc.addTrack(Picture(brightness))
        await client.offer("pub")
    anna, bert = scene.clients
    await anna.screen("1", "pub").see(60)
    await bert.screen("1", "pub").see(200)
    await anna.screen("0", "pub").more()


async def test_nobody_sees_himself(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await anna.publish(Picture(200))
    await anna.watch(video=2)
    await bert.publish(Picture(60))
    slots = await scene.shown("anna", await stream(scene, "bert"))
    assert {row["user_id"] for row in slots.values()} == {"bert"}
    await anna.screen("1").see(60)


async def test_sources_come_and_go_in_slots_without_a_new_offer(scene):
    viewer = scene.join("viewer")
    await viewer.watch(audio=0, video=2)
    await scene.shown("viewer")
    anna, bert = scene.join("anna"), scene.join("bert")
    await anna.publish(Picture(200))
    first = await stream(scene, "anna")
    place = (await scene.shown("viewer", first))[first]["mid"]
    await viewer.screen(place).see(200)
    await bert.publish(Picture(60))
    second = await stream(scene, "bert")
    slots = await scene.shown("viewer", first, second)
    assert slots[first]["mid"] == place
    await viewer.screen(slots[second]["mid"]).see(60)
    scene.leave("anna")
    await scene.report("stream.destroyed", user_id="anna", stream_id=first)
    await scene.report("peer.down", user_id="anna", reason="closed")
    await scene.shown("viewer", second)
    cora = scene.join("cora")
    await cora.publish(Picture(120))
    third = await stream(scene, "cora")
    assert (await scene.shown("viewer", second, third))[third]["mid"] == place
    await viewer.screen(place).see(120)
    told = [n["slots"] for n in scene.notices if n["kind"] == "slots"]
    assert all(before != after for before, after in pairwise(told))


async def test_a_moderator_mutes(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await bert.watch(audio=0)
    picture = Picture(200)
    await anna.publish(picture)
    camera = await stream(scene, "anna")
    await bert.screen("0").see(200)
    scene.join("anna", muted_video=True)
    assert (await scene.report("stream.changed", stream_id=camera))["stream"]["muted"]
    picture.brightness = 60
    packets = await through(scene, anna)
    assert abs(bert.screen("0").value - 200) < 6
    assert packets > 0
    scene.join("anna")
    await bert.screen("0").see(60)
    changes = await scene.report("stream.changed", count=2)
    assert [each["stream"]["muted"] for each in changes] == [True, False]


async def through(scene, client):
    """Wait until the worker has had a second's worth of somebody's packets; how many."""

    def count():
        return sum(row["packets"] for row in scene.quality() if row["user_id"] == client.user and row["to"] is None)

    begin = count()
    while count() < begin + 30:
        await scene.ticks(1)
    return count() - begin


async def test_who_is_held_gets_and_sends_nothing(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await anna.publish(Picture(200))
    await anna.watch(audio=0)
    await bert.publish(Picture(60))
    await bert.watch(audio=0)
    await anna.screen("0").see(60)
    await bert.screen("0").see(200)
    scene.join("anna", held=True)
    await scene.shown("bert")
    await scene.shown("anna")
    assert scene.slots("anna")["0"]["paused"]
    seen = anna.screen("0").count, bert.screen("0").count
    await through(scene, bert)
    assert (anna.screen("0").count - seen[0], bert.screen("0").count - seen[1]) <= (3, 3)  # what was on the way
    scene.join("anna")
    await anna.screen("0").more()
    await bert.screen("0").more()


async def test_a_screen_is_added_and_stopped_in_the_same_connection(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await bert.watch(audio=2, video=2)
    await anna.publish(Tone(), Picture(200))
    camera, microphone = await stream(scene, "anna"), await stream(scene, "anna", "microphone")
    await scene.shown("bert", camera, microphone)
    for track in (Picture(60), Tone()):
        anna.pcs["pub"].addTransceiver(track, direction="sendonly")
    await anna.offer("pub")
    screen, sound = await stream(scene, "anna", "screen"), await stream(scene, "anna", "screen_audio")
    slots = await scene.shown("bert", camera, microphone, screen, sound)
    await bert.screen(slots[screen]["mid"]).see(60)
    for transceiver in anna.pcs["pub"].getTransceivers()[2:]:
        transceiver.direction = "inactive"
    await anna.offer("pub")
    await scene.report("stream.destroyed", stream_id=screen)
    await scene.report("stream.destroyed", stream_id=sound)
    await scene.shown("bert", camera, microphone)
    await bert.screen(slots[camera]["mid"]).more()
    assert len([each for each in scene.reports if each["kind"] == "peer.up"]) == 2


async def test_streams_have_the_names_that_their_client_gives_them(scene):
    anna = scene.join("anna")
    await anna.publish(Picture(1), streams=(scene.source("0", "screen", "my slides"),))
    assert (await scene.report("stream.created", source="screen"))["stream"]["name"] == "my slides"
    await anna.offer("pub", streams=(scene.source("0", "other", "my film"),))
    assert (await scene.report("stream.changed", source="other"))["stream"]["name"] == "my film"
    await anna.offer("pub")
    await anna.publish(Tone(), Tone(), Tone(), label="more")
    created = await scene.report("stream.created", count=4)
    assert {each["stream"]["source"] for each in created[1:]} == {"microphone", "screen_audio", "other"}
    assert len([each for each in scene.reports if each["kind"] == "stream.changed"]) == 1


async def test_a_new_connection_takes_the_place_of_the_old_one_when_it_is_connected(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await bert.watch(audio=0)
    await anna.publish(Picture(200))
    first = await stream(scene, "anna")
    await bert.screen("0").see(200)
    await anna.publish(Picture(60))
    await scene.report("stream.destroyed", stream_id=first)
    await bert.screen("0").see(60)
    kinds = [each["kind"] for each in scene.reports if each["user_id"] == "anna"]
    assert kinds == ["peer.up", "stream.created", "stream.destroyed", "stream.created"]


async def test_a_viewer_who_comes_back_sees_again(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await anna.publish(Picture(200))
    await bert.watch(audio=0)
    await bert.screen("0").see(200)
    before = bert.screen("0")
    await bert.watch(audio=0)
    await bert.screen("0").see(200)
    assert bert.screen("0") is not before


async def test_an_ice_restart_changes_credentials_and_nothing_else(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await bert.watch(audio=0)
    first = await anna.publish(Picture(200))
    await bert.screen("0").see(200)
    offer = anna.pcs["pub"].localDescription.sdp
    ufrag = next(line for line in offer.splitlines() if line.startswith("a=ice-ufrag:"))
    again = scene.offer("anna", "pub", offer.replace(ufrag, "a=ice-ufrag:N3w1"))
    assert credentials(first).isdisjoint(credentials(again))
    await bert.screen("0").more()
    assert credentials(scene.offer("anna", "pub", offer.replace(ufrag, "a=ice-ufrag:N3w1"))) == credentials(again)
    assert [each["kind"] for each in scene.reports if each["user_id"] == "anna"] == ["peer.up", "stream.created"]


def credentials(sdp):
    return {line for line in sdp.splitlines() if line.startswith(("a=ice-ufrag", "a=ice-pwd"))}


async def test_who_hangs_up_is_gone(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await bert.watch(audio=0)
    await anna.publish(Picture(200))
    await bert.screen("0").see(200)
    await anna.pcs["pub"].close()
    await scene.report("peer.down", user_id="anna", reason="hangup")
    await scene.report("stream.destroyed", user_id="anna")
    await scene.shown("bert")
    await anna.publish(Picture(60))
    await bert.screen("0").see(60)


async def test_who_falls_silent_is_lost_and_comes_back(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await bert.watch(audio=0)
    await anna.publish(Picture(200))
    await bert.screen("0").see(200)
    scene.deaf(10.5)
    await scene.report("peer.down", user_id="anna", reason="silence")
    scene.hear_again()
    await scene.report("peer.up", 2, user_id="anna")
    await bert.screen("0").more()
    assert not [each for each in scene.reports if each["kind"] == "stream.destroyed"]


async def test_peers_are_closed_one_by_one(scene):
    anna = scene.join("anna")
    await anna.publish(Picture(1))
    await anna.watch()
    await stream(scene, "anna")
    await scene.until(lambda: scene.slots("anna"))
    scene.room.close_peer("anna", "anna-device", "pub")
    await scene.report("stream.destroyed", user_id="anna")
    assert not [each for each in scene.reports if each["kind"] == "peer.down"]
    scene.room.close_peer("anna", "anna-device", "sub")
    await scene.report("peer.down", user_id="anna", reason="closed")
    scene.room.close_peer("anna", "anna-device", "sub")
    scene.room.close_peer("nobody", None, "sub")
    assert not scene.mux.sessions


async def test_only_members_may_come_in_and_do_what_they_may(scene):
    stranger = scene.join("stranger")
    scene.leave("stranger")
    with pytest.raises(LookupError):
        await stranger.publish(Picture(1))
    with pytest.raises(LookupError):
        scene.subscribe("stranger")
    anna = scene.join("anna")
    with pytest.raises(OfferError) as refused:
        await anna.publish(Picture(1), publish=False)
    assert refused.value.denied
    with pytest.raises(OfferError) as refused:
        scene.offer("anna", "pub", "v=0\r\n")
    assert not refused.value.denied
    assert not scene.mux.sessions


async def test_there_is_an_end_to_connections_and_streams(scene):
    anna = scene.join("anna")
    with pytest.raises(OfferError, match="streams"):
        await anna.publish(*(Picture(1) for _ in range(17)))
    for number in range(8):
        await anna.publish(Tone(), label=f"pub-{number}")
    with pytest.raises(OfferError, match="connections"):
        await anna.publish(Tone(), label="pub-8")
    assert len(scene.mux.sessions) == 8


async def test_a_new_connection_that_never_comes_up_takes_nobodys_place(scene):
    anna, bert = scene.join("anna"), scene.join("bert")
    await bert.watch(audio=0)
    await anna.publish(Picture(200))
    await bert.screen("0").see(200)
    scene.offer("anna", "pub", offer("chrome_pub"))
    scene.offer("anna", "pub", offer("chrome_pub").replace("74:4C", "74:4D"))
    scene.offer("anna", "other", offer("chrome_sub"))
    assert scene.room.counts()["connections"] == 4
    await bert.screen("0").more()
    scene.offset += 31  # nobody waits longer for a handshake
    await scene.until(lambda: scene.room.counts()["connections"] == 2)
    await bert.screen("0").more()
    assert len(scene.mux.sessions) == 2


async def test_broken_offers_leave_nothing_behind(scene):
    chance = random.Random(11)
    scene.join("anna")
    answered = 0
    for _ in range(300):
        label = chance.choice(("pub", "sub", "whip-1"))
        scene.offset += 2  # what may begin in a second is bounded
        try:
            scene.offer("anna", label, mutated(offer(chance.choice(NAMES)), chance))
            answered += 1
        except OfferError:
            await scene.ticks(1)
    assert answered > 60
    assert scene.room.counts()["connections"] <= 3
    assert len(scene.mux.sessions) <= 3
    scene.leave("anna")
    assert set(scene.room.counts().values()) == {0}
    assert not scene.mux.sessions
