"""Whether somebody goes on or begins anew."""

import re

import pytest

from service.media.worker.sdp import OfferError
from tests.media.worker.recorded import offer
from tests.media.worker.rooms.clients import Picture, Tone
from tests.media.worker.rooms.raw import Raw


class Page(Raw):
    """A page that keeps its certificate (IndexedDB) over its connections; each has a session of its own."""

    def __init__(self, scene, user, number, before=None):
        super().__init__(scene, user, "chrome_pub", "pub")
        self.offer = re.sub(r"o=- \d+", f"o=- {number}", self.offer)
        if before is not None:
            self.peer.certificate = before.peer.certificate


async def test_a_new_connection_with_a_kept_certificate_is_a_new_one(scene):
    scene.join("anna")
    first = await Page(scene, "anna", 1).connect()
    await scene.report("peer.up", user_id="anna")
    second = await Page(scene, "anna", 2, first).connect()
    await second.send("q")
    await scene.report("stream.created", user_id="anna")
    assert len(scene.mux.sessions) == 1
    await first.close()
    await second.close()


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("ice-ufrag:", "ice-ufrag:x", True),
        ("o=- 86", "o=- 99", True),  # aiortc names each offer anew
        ("a=setup", "a=tls-id:other\r\na=setup", True),
        (None, None, True),
    ],
)
async def test_what_goes_on(scene, old, new, same):
    scene.join("anna")
    text = offer("chrome_pub")
    before = scene.offer("anna", "pub", text)
    again = scene.offer("anna", "pub", text if old is None else text.replace(old, new))
    assert (session(before) == session(again)) is same


@pytest.mark.parametrize(("first", "second", "same"), [("a", "b", False), ("a", "a", True), (None, "b", False)])
async def test_the_association_is_known_by_its_id(scene, first, second, same):
    """With new ICE credentials and another session, only the same tls-id goes on."""
    scene.join("anna")
    texts = [offer("chrome_pub"), offer("chrome_pub").replace("ice-ufrag:", "ice-ufrag:x").replace("o=- 86", "o=- 99")]
    marked = [
        text if name is None else text.replace("a=setup", f"a=tls-id:{name}\r\na=setup")
        for text, name in zip(texts, (first, second), strict=True)
    ]
    before, after = (scene.offer("anna", "pub", text) for text in marked)
    assert (session(before) == session(after)) is same


def session(answer):
    return re.search(r"o=- (\d+)", answer)[1]


async def test_another_attempt_is_a_new_participant(scene):
    anna, bert = scene.join("anna", attempt="1"), scene.join("bert")
    await bert.watch(audio=0)
    await anna.publish(Picture(200))
    await bert.screen("0").see(200)
    scene.join("anna", attempt="1", muted_audio=True)
    assert scene.room.counts()["connections"] == 2
    scene.join("anna", attempt="2")
    assert scene.room.counts()["connections"] == 1
    await anna.publish(Picture(60))
    await bert.screen("0").see(60)
    kinds = [each["kind"] for each in scene.reports if each["user_id"] == "anna"]
    assert sorted(kinds[:2]) == ["peer.up", "stream.created"]
    assert sorted(kinds[2:4]) == ["peer.down", "stream.destroyed"]
    assert sorted(kinds[4:]) == ["peer.up", "stream.created"]


async def test_pictures_are_seen_only_while_the_call_has_video(scene):
    anna, bert = scene.join("anna", video=False), scene.join("bert", video=False)
    await bert.watch()
    with pytest.raises(OfferError) as refused:
        await anna.publish(Tone(), Picture(200), video=False)
    assert refused.value.denied
    scene.join("anna")
    await anna.publish(Tone(), Picture(200))
    await bert.screen("1").see(200)
    scene.join("anna", video=False)
    assert (await scene.report("stream.changed", source="camera"))["stream"]["muted"]
    seen = bert.screen("1").count
    await bert.screen("0").more(20)
    assert bert.screen("1").count <= seen + 3  # what was on the way
    await anna.offer("pub", video=False)  # what was agreed on stays
    scene.join("anna")
    await bert.screen("1").more()


async def test_lips_and_voice_come_in_a_pair_of_slots(scene):
    viewer = scene.join("viewer")
    await viewer.watch(audio=4, video=4)
    anna = scene.join("anna")
    await anna.publish(Picture(200), Picture(100))
    for user in ("bert", "cora"):
        await scene.join(user).publish(Tone(), Picture(60))
    rows = await scene.until(lambda: by_source(scene.slots("viewer"), 6))
    for user in ("bert", "cora"):
        assert int(rows[user, "camera"]) == int(rows[user, "microphone"]) + 4, rows


def by_source(slots, count):
    found = {(row["user_id"], row["source"]): mid for mid, row in slots.items() if row["stream_id"]}
    return found if len(found) == count else {}
