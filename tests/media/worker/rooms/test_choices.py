from tests.media.worker.rooms.clients import Picture, Tone
from tests.media.worker.rooms.test_rooms import stream


async def test_the_loudest_is_told_and_shown(scene):
    viewer, anna, bert = scene.join("viewer"), scene.join("anna"), scene.join("bert")
    await viewer.watch(audio=1, video=1)
    tones = {"anna": Tone(loud=True), "bert": Tone(loud=False)}
    await anna.publish(tones["anna"], Picture(200))
    await bert.publish(tones["bert"], Picture(60))
    cameras = {user: await stream(scene, user) for user in tones}
    voices = {user: await stream(scene, user, "microphone") for user in tones}
    await speaks(scene, "anna")
    await scene.shown("viewer", cameras["anna"], voices["anna"])
    await viewer.screen("1").see(200)
    tones["anna"].loud, tones["bert"].loud = False, True
    assert (await speaks(scene, "bert"))["stream_id"] == voices["bert"]
    await scene.shown("viewer", cameras["bert"], voices["bert"])
    await viewer.screen("1").see(60)
    tones["bert"].loud = False
    await speaks(scene, None)


async def speaks(scene, user, to=None):
    """Wait until that is told: to everybody, or to that one."""
    whom = {"user_id": to, "device_id": f"{to}-device"} if to else None

    def latest():
        told = [each for each in scene.notices if each["kind"] == "speaker" and each.get("to") == whom]
        return told[-1] if told and told[-1]["user_id"] == user else None

    notice = await scene.until(latest)
    assert user is None or -60 < notice["level"] < 0
    return notice


async def test_who_comes_while_somebody_speaks_and_who_was_away_are_told(scene):
    viewer, anna = scene.join("viewer"), scene.join("anna")
    await viewer.watch(audio=1, video=0)
    await anna.publish(Tone())
    voice = await stream(scene, "anna", "microphone")
    await scene.shown("viewer", voice)
    await speaks(scene, "anna")
    await scene.join("bert").watch(audio=1, video=0)
    assert (await speaks(scene, "anna", to="bert"))["stream_id"] == voice
    await scene.shown("bert", voice)
    scene.notices.clear()
    scene.room.tell_again("viewer", "viewer-device")
    await speaks(scene, "anna", to="viewer")
    await scene.shown("viewer", voice)
    assert scene.slots("bert") == {}


async def test_that_nobody_speaks_is_told_again_too(scene):
    await scene.join("viewer").watch(audio=1, video=0)
    scene.room.tell_again("viewer", "viewer-device")
    await speaks(scene, None, to="viewer")


async def test_a_viewer_chooses(scene):
    viewer, anna, bert = scene.join("viewer"), scene.join("anna"), scene.join("bert")
    await viewer.watch(audio=2, video=1)
    await anna.publish(Tone(), Picture(200))
    await bert.publish(Tone(), Picture(60))
    cameras = {user: await stream(scene, user) for user in ("anna", "bert")}
    voices = [await stream(scene, user, "microphone") for user in ("anna", "bert")]
    scene.subscribe("viewer", streams=(scene.wish(cameras["bert"], height=64),))
    await scene.shown("viewer", cameras["bert"], *voices)
    await viewer.screen("2").see(60)
    scene.subscribe("viewer", video=False)
    await scene.shown("viewer", *voices)
    scene.subscribe("viewer", audio=False, only=(cameras["anna"], voices[0]))
    await scene.shown("viewer", cameras["anna"])
    await viewer.screen("2").see(200)
    scene.subscribe("viewer", audio=False, only=(cameras["anna"],), streams=(scene.wish(cameras["anna"], paused=True),))
    await scene.shown("viewer")
    await scene.until(lambda: scene.slots("viewer")["2"]["paused"])
    assert scene.slots("viewer")["2"]["stream_id"] == cameras["anna"]
    scene.subscribe("viewer", audio=False, only=(cameras["anna"],))
    await scene.shown("viewer", cameras["anna"])
    await viewer.screen("2").more()


async def test_who_is_muted_loses_the_slot_to_who_is_not(scene):
    viewer, anna, bert = scene.join("viewer"), scene.join("anna"), scene.join("bert")
    await viewer.watch(audio=0, video=1)
    await anna.publish(Picture(200))
    shown = await stream(scene, "anna")
    await scene.shown("viewer", shown)
    await bert.publish(Picture(60))
    other = await stream(scene, "bert")
    assert scene.slots("viewer")["0"]["muted"] is False
    scene.join("anna", muted_video=True)
    await scene.shown("viewer", other)
    await viewer.screen("0").see(60)
    scene.join("bert", muted_video=True)
    await scene.until(lambda: scene.slots("viewer")["0"]["muted"])
    scene.join("anna")
    await scene.shown("viewer", shown)
    await viewer.screen("0").see(200)
    assert scene.slots("viewer")["0"]["muted"] is False


async def test_two_players_of_one_member_show_each_their_own(scene):
    viewer, anna = scene.join("viewer"), scene.join("anna")
    await viewer.watch(audio=0)
    await viewer.watch(audio=0, label="whep-1")
    await anna.publish(Picture(200))
    await viewer.screen("0").see(200)
    await viewer.screen("0", "whep-1").see(200)


async def test_a_stream_is_shown_once_on_all_connections_of_a_member(scene):
    viewer, anna = scene.join("viewer"), scene.join("anna")
    await viewer.watch(audio=0)
    pc = viewer.open("pub")
    pc.addTrack(Picture(10))
    await viewer.offer("pub")
    await stream(scene, "viewer")
    await anna.publish(Picture(200))
    await scene.shown("viewer", await stream(scene, "anna"))
    await viewer.screen("0").see(200)
    await scene.until(lambda: scene.slots("viewer", "pub"))
    assert [row["stream_id"] for row in scene.slots("viewer", "pub").values()] == [None]


async def test_quality_is_told_of_both_ways(scene):
    viewer, anna = scene.join("viewer"), scene.join("anna")
    await viewer.watch()
    await anna.publish(Tone(), Picture(200))
    camera, voice = await stream(scene, "anna"), await stream(scene, "anna", "microphone")
    await scene.shown("viewer", camera, voice)

    def complete():
        rows = {(row["stream_id"], row["direction"]): row for row in scene.quality()}
        ready = len(rows) == 4 and all(row["bitrate_bps"] > 1000 and row["packets"] > 20 for row in rows.values())
        return rows if ready else None

    while not (rows := complete()):
        await scene.ticks(10)
    down = rows[camera, "down"]
    assert (down["user_id"], down["to"], down["source"], down["kind"]) == ("anna", "viewer", "camera", "video")
    assert rows[camera, "up"]["to"] is None
    assert down["loss"] == 0
    assert set(down) == {
        *("stream_id", "user_id", "to", "direction", "kind", "source"),
        *("bitrate_bps", "packets", "loss", "jitter_ms", "rtt_ms", "layer"),
    }


async def test_twelve_come_and_go_in_any_order_and_nothing_stays_behind(scene):
    viewer = scene.join("viewer")
    await viewer.watch(audio=3, video=3)
    for number in range(6):
        await scene.join(f"user-{number}").publish(Tone(loud=False))
    await scene.report("stream.created", 6)
    await scene.until(lambda: all(row["stream_id"] for mid, row in scene.slots("viewer").items() if mid < "3"))
    for number in range(6):
        scene.leave(f"user-{number}")
    await scene.report("stream.destroyed", 6)
    await scene.shown("viewer")
    assert len(scene.mux.sessions) == 1
    scene.leave("viewer")
    assert not scene.mux.sessions
    assert set(scene.room.counts().values()) == {0}
