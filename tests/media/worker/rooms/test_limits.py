"""What one client can make happen, and whom it concerns."""

from struct import pack

import pytest

from service.media.worker.sdp import OfferError
from tests.media.worker.recorded import offer
from tests.media.worker.rooms.clients import Picture
from tests.media.worker.rooms.raw import MID_ID, RID_ID, Raw

VP8, H264 = 96, 102


def packet(sequence, kind):
    header = pack("!BBHII", 0x90, 0x80 | kind, sequence, sequence * 3000, 1000)
    names = bytes([MID_ID << 4]) + b"1" + bytes([RID_ID << 4]) + b"q"
    return header + pack("!HH", 0xBEDE, 1) + names + b"\x10\x10\x02\x00\x9d\x01\x2a".ljust(60, b"x")


def told(scene, kind):
    return [each for each in scene.reports if each["kind"] == kind]


async def test_who_changes_its_codec_with_every_packet_is_told_once_a_second(scene):
    scene.join("anna")
    anna = await Raw(scene, "anna", "chrome_pub", "pub").connect()
    for sequence in range(90):
        await anna.peer.send(packet(sequence, H264 if sequence % 2 else VP8))
        await scene.ticks(1)
    assert len(told(scene, "stream.changed")) <= 3
    await scene.until(lambda: told(scene, "stream.changed")[-1]["stream"]["codec"] == "H264")
    await anna.close()


async def test_all_changes_of_a_device_together_have_an_end(scene):
    anna = scene.join("anna")
    await anna.publish(Picture(1))
    await scene.report("stream.created")
    for number in range(100):
        await anna.offer("pub", streams=(scene.source("0", "camera", f"name {number}"),))
        scene.offset += 0.5
        await scene.ticks(1)
    assert 50 <= len(told(scene, "stream.changed")) <= 75  # 20 at once and one a second


async def test_beginnings_have_an_end(scene):
    scene.join("anna")
    for _ in range(16):  # a connection and two streams each
        scene.offer("anna", "pub", offer("chrome_pub"))
        scene.room.close_peer("anna", "anna-device", "pub")
    with pytest.raises(OfferError, match="wait"):
        scene.offer("anna", "pub", offer("chrome_pub"))
    scene.offset += 4
    scene.offer("anna", "pub", offer("chrome_pub"))
    for _ in range(50):
        scene.offer("anna", "pub", offer("chrome_pub"))  # nothing begins


async def test_slots_have_an_end(scene):
    scene.join("anna")
    for number in range(2):
        scene.offer("anna", f"sub-{number}", wide(30))
    with pytest.raises(OfferError, match="slots"):
        scene.offer("anna", "sub-2", wide(5))
    scene.offer("anna", "sub-1", wide(34))
    scene.offer("anna", "pub", offer("chrome_pub"))


def wide(count):
    """An offer for so many video slots."""
    head, *sections = offer("chrome_sub").split("m=")
    names = range(count)
    return head.replace("0 1 2 3", " ".join(map(str, names))) + "".join(
        "m=" + sections[2].replace("a=mid:2", f"a=mid:{number}") for number in names
    )


async def test_a_wish_moves_only_the_slots_of_who_wishes(scene):
    for user in ("anna", "bert"):
        await scene.join(user).watch()
        await scene.until(lambda: scene.slots(user))  # noqa: B023 - awaited here
    before = arranged(scene)
    while arranged(scene) == before:  # so that the next look by itself is a second away
        await scene.ticks(1)
    await scene.ticks(3)
    before = arranged(scene)
    scene.subscribe("anna", video=False)
    await scene.ticks(2)
    after = arranged(scene)
    assert (after["anna"] > before["anna"], after["bert"] == before["bert"]) == (True, True)


def arranged(scene):
    return {who[0]: view.arranged_at for (who, _), view in scene.room._views.items()}  # noqa: SLF001 - not told


async def test_nothing_is_kept_of_players_that_have_gone(scene):
    for user in ("anna", "bert"):
        scene.join(user)
    anna = await Raw(scene, "anna", "chrome_pub", "pub").connect()
    for number in range(3):
        player = await Raw(scene, "bert", "chrome_sub", f"whep-{number}").connect()
        await player.see(anna, "q", "q")
        scene.room.close_peer("bert", "bert-device", f"whep-{number}")
        await player.close()
    await scene.ticks(2)
    assert scene.room.counts()["views"] == 1  # anna's own
    assert not scene.port("anna", "pub").tracks["1"].slots
    await anna.close()
