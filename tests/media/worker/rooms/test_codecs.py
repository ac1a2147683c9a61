"""Pictures of other codecs than VP8 come through."""

from tests.media.worker.rooms.clients import Picture, Tone
from tests.media.worker.rooms.test_rooms import stream


async def test_h264_is_seen_and_shares_a_slot_with_vp8(scene):
    viewer, anna, bert = scene.join("viewer"), scene.join("anna"), scene.join("bert")
    await viewer.watch(audio=0, video=1)
    await anna.publish(Picture(200), codec="video/H264")
    await bert.publish(Picture(60), codec="video/VP8")
    cameras = {user: await stream(scene, user) for user in ("anna", "bert")}
    told = {each["user_id"]: each["stream"]["codec"] for each in await scene.report("stream.created", 2)}
    assert told == {"anna": "H264", "bert": "VP8"}
    for user, brightness in (("anna", 200), ("bert", 60), ("anna", 200)):
        scene.subscribe("viewer", only=(cameras[user],))
        await scene.shown("viewer", cameras[user])
        await viewer.screen("0").see(brightness)
        await viewer.screen("0").more(10)


async def test_who_comes_late_sees_h264(scene):
    anna = scene.join("anna")
    await anna.publish(Tone(), Picture(200), codec="video/H264")
    camera = await stream(scene, "anna")
    viewer = scene.join("viewer")
    await viewer.watch()
    await viewer.screen("1").see(200)
    (encoding,) = scene.port("anna", "pub").tracks["1"].encodings
    assert (encoding.codec.name, encoding.width, encoding.height) == ("H264", 96, 64)
    assert scene.slots("viewer")["1"]["stream_id"] == camera
