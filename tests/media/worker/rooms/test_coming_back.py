"""Whether somebody goes on or begins anew."""

import re

import pytest

from tests.media.worker.recorded import offer
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
