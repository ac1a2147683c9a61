import pytest

from tests.media.worker.rooms.raw import Raw

ALL = ("q", "h", "f")


@pytest.fixture
async def pair(scene):
    """A publisher of three layers and a viewer of one slot, both connected."""
    for user in ("anna", "viewer"):
        scene.join(user)
    anna = Raw(scene, "anna", "chrome_pub", "pub")
    viewer = Raw(scene, "viewer", "chrome_sub", "sub")
    yield await anna.connect(), await viewer.connect()
    await anna.close()
    await viewer.close()


async def layer(scene, rid):
    """Wait until this layer is told to be in the first video slot; its stream."""
    row = await scene.until(lambda: (found := scene.slots("viewer").get("2")) and found["layer"] == rid and found)
    return row["stream_id"]


@pytest.mark.parametrize("codec", ["VP8", "H264", "VP9", "AV1"])
async def test_a_viewer_gets_the_layer_it_wants_or_has_room_for(scene, pair, codec):
    anna, viewer = pair
    anna.codec = codec
    await viewer.see(anna, "f", *ALL)
    stream = await layer(scene, "f")
    report = await scene.report("stream.created", stream_id=stream)
    assert (report["stream"]["layers"], report["stream"]["codec"]) == (["q", "h", "f"], codec)
    encodings = scene.port("anna", "pub").tracks["1"].encodings
    assert [(each.width, each.height) for each in encodings] == [(160, 90), (320, 180), (640, 360)]
    for wish, rid in (
        ({"layer": "low"}, "q"),
        ({"layer": "medium"}, "h"),
        ({"height": 90}, "q"),
        ({"height": 170}, "h"),
        ({"width": 160}, "q"),
        ({"width": 300, "height": 90}, "h"),
        ({"height": 1000, "layer": "high"}, "f"),
    ):
        scene.subscribe("viewer", streams=(scene.wish(stream, **wish),))
        await viewer.see(anna, rid, *ALL)
        await layer(scene, rid)
    rows = [row for row in scene.quality() if row["direction"] == "up" and row["kind"] == "video"]
    assert [row["layer"] for row in rows] == ["q", "h", "f"]


async def test_a_publisher_may_change_its_codec(scene, pair):
    anna, viewer = pair
    for codec in ("VP8", "H264", "VP9", "AV1", "VP8"):
        anna.codec = codec
        await viewer.see(anna, "f", *ALL)
        (slot,) = (slot for slot in scene.port("viewer", "sub").slots.values() if slot.encoding is not None)
        assert slot.codec_for(slot.encoding.codec).name == codec


async def test_a_layer_that_is_not_sent_any_more_is_left(scene, pair):
    anna, viewer = pair
    await viewer.see(anna, "f", *ALL)
    await viewer.see(anna, "h", "q", "h")
    await layer(scene, "h")
    await viewer.see(anna, "f", *ALL)


async def test_less_is_shown_while_the_path_carries_less(scene, pair):
    anna, viewer = pair
    await viewer.see(anna, "f", *ALL)
    port = scene.port("viewer", "sub")
    assert scene.room.withheld() == 0
    port.estimator.known, port.estimator.bps = True, 1_000
    while not (row := scene.slots("viewer")["2"])["paused"]:
        await anna.send(*ALL)
        await scene.ticks(1)
    assert row["stream_id"] is not None
    assert scene.room.withheld() == 1
    assert scene.room.resent() == {slot.ssrc: slot.resent for slot in port.slots.values()}
    port.estimator.bps = 5_000_000
    await viewer.see(anna, "f", *ALL)
