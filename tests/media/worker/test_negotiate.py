from itertools import count

import pytest
from aiortc.sdp import SessionDescription

from service.media.worker.negotiate import OfferError, agree, read
from service.media.worker.offered import ABS_SEND_TIME, AUDIO_LEVEL, MID, REPAIRED_RID, RID, TRANSPORT_CC
from service.media.worker.sections import Kind, Negotiated, Section
from tests.media.worker.recorded import LOCAL, NAMES, answered, offer


def parsed(sdp: str) -> SessionDescription:
    return SessionDescription.parse(sdp)


@pytest.mark.parametrize("name", NAMES)
def test_every_client_gets_an_answer_that_mirrors_its_sections(name):
    negotiated = answered(offer(name))
    asked, told = parsed(offer(name)), parsed(negotiated.sdp)
    assert [media.kind for media in told.media] == [media.kind for media in asked.media]
    mirrored = {"sendonly": "recvonly", "recvonly": "sendonly", "sendrecv": "sendrecv"}
    for before, after in zip(asked.media, told.media, strict=True):
        if before.kind == "application":
            assert after.port == 0
            continue
        assert after.direction == mirrored[before.direction]
        assert after.rtp.muxId == before.rtp.muxId
        assert after.ice.iceLite
        assert (after.ice.usernameFragment, after.ice.password) == (LOCAL.ufrag, LOCAL.pwd)
        assert [(each.ip, each.port) for each in after.ice_candidates] == list(LOCAL.candidates)
        assert after.ice_candidates_complete
        assert after.rtcp_mux
        offered = {codec.payloadType for codec in before.rtp.codecs}
        assert {codec.payloadType for codec in after.rtp.codecs} <= offered
    accepted = [media.rtp.muxId for media in told.media if media.port]
    assert told.group[0].items == accepted


def test_chrome_publishes_three_layers():
    audio, video = answered(offer("chrome_pub")).sections
    assert (audio.receives, audio.sends, video.receives, video.sends) == (True, False, True, False)
    assert video.rids == ("q", "h", "f")
    assert [codec.name for codec in audio.codecs] == ["opus"]
    assert [codec.name for codec in video.codecs] == ["VP8"] + ["H264"] * 6 + ["VP9"] * 2 + ["AV1"]
    assert video.codecs[0].rtx == 97
    assert audio.ssrcs == (210800794,)
    assert video.extensions == {ABS_SEND_TIME: 2, TRANSPORT_CC: 3, MID: 4, RID: 10, REPAIRED_RID: 11}
    assert audio.extensions == {AUDIO_LEVEL: 1, ABS_SEND_TIME: 2, TRANSPORT_CC: 3, MID: 4}
    sdp = answered(offer("chrome_pub")).sdp
    assert "a=simulcast:recv q;h;f\r\n" in sdp
    assert "a=rid:h recv\r\n" in sdp
    assert "a=ssrc:" not in sdp


def test_chrome_gets_a_slot_for_every_section_it_receives_in():
    negotiated = answered(offer("chrome_sub"))
    assert [(each.kind, each.receives, each.sends) for each in negotiated.sections] == [
        (Kind.AUDIO, False, True),
        (Kind.AUDIO, False, True),
        (Kind.VIDEO, False, True),
        (Kind.VIDEO, False, True),
    ]
    assert [(each.ssrc, each.rtx_ssrc) for each in negotiated.sections] == [
        (1000, None),
        (1001, None),
        (1002, 1003),
        (1004, 1005),
    ]
    told = parsed(negotiated.sdp)
    assert [media.ssrc[0].ssrc for media in told.media] == [1000, 1001, 1002, 1004]
    assert told.media[2].ssrc_group[0].items == [1002, 1003]
    # Browsers play what has one stream in step: the first audio with the first video slot, the second with the second.
    assert [media.msid for media in told.media] == [
        "slot-0 audio-0",
        "slot-1 audio-1",
        "slot-0 video-2",
        "slot-1 video-3",
    ]


def test_one_connection_may_do_both():
    audio, video = answered(offer("chrome_both")).sections
    assert (audio.receives, audio.sends, video.receives, video.sends) == (True,) * 4
    assert video.ssrcs == (2294178560,)
    assert video.retransmits == {2294178560: 1382167175}
    assert (video.ssrc, video.rtx_ssrc) == (1001, 1002)


def test_red_and_ulpfec_are_declined_and_only_one_kind_of_bandwidth_feedback_agreed_on():
    for name in NAMES:
        negotiated = answered(offer(name))
        assert not any(word in negotiated.sdp for word in ("red/", "ulpfec", "flexfec", "telephone-event"))
        for section in negotiated.sections:
            for codec in section.codecs:
                assert not {"transport-cc", "goog-remb"} <= set(codec.feedback)
    assert answered(offer("aiortc")).sections[1].codecs[0].feedback == ("nack", "nack pli", "goog-remb")
    assert answered(offer("chrome_pub")).sections[1].codecs[0].feedback[-1] == "transport-cc"


def test_opus_keeps_what_was_offered():
    assert "a=fmtp:111 minptime=10;useinbandfec=1\r\n" in answered(offer("chrome_sub")).sdp
    assert "stereo=1" in answered(offer("obs")).sdp


@pytest.mark.parametrize(("name", "setup"), [("ffmpeg", "active"), ("obs", "passive"), ("aiortc", "passive")])
def test_the_worker_begins_only_with_who_waits(name, setup):
    sdp = answered(offer(name)).sdp
    assert f"a=setup:{setup}\r\n" in sdp


def test_bundled_sections_of_gstreamer_have_port_zero_and_count():
    video, audio = answered(offer("gstreamer")).sections
    assert (video.receives, audio.receives) == (True, True)
    assert video.retransmits == {1203952211: 2208846033}
    assert audio.codecs[0].name == "opus"


@pytest.mark.parametrize("name", ["chrome_pub", "chrome_sub", "chrome_both"])
def test_pictures_come_upright_because_not_everybody_turns_them(name):
    assert "urn:3gpp:video-orientation" in offer(name)
    assert "orientation" not in answered(offer(name)).sdp


def test_sound_is_never_sent_again():
    text = offer("chrome_both").replace("m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 9 UDP/TLS/RTP/SAVPF 111 112")
    line = "a=rtpmap:111 opus/48000/2\r\n"
    text = text.replace(line, f"{line}a=rtpmap:112 rtx/48000\r\na=fmtp:112 apt=111\r\n")
    negotiated = answered(text)
    audio, video = negotiated.sections
    assert (audio.codecs[0].rtx, audio.rtx_ssrc, video.codecs[0].rtx) == (None, None, 97)
    assert "rtx/48000" not in negotiated.sdp


def test_opus_without_its_channels_is_opus():
    text = offer("gstreamer").replace("OPUS/48000/2", "OPUS/48000").replace("opus/48000/2", "opus/48000")
    assert text != offer("gstreamer")
    audio = answered(text).sections[1].codecs[0]
    assert audio.format == answered(offer("chrome_sub")).sections[0].codecs[0].format
    assert "opus/48000\r\n" in answered(text).sdp  # as it was offered


def test_pairs_keep_together_when_sections_stop():
    first = answered(offer("chrome_sub"))
    head, *sections = offer("chrome_sub").split("m=")
    stopped = [sections[0].replace("audio 9", "audio 0", 1), *sections[1:]]
    second = answered("m=".join([head.replace("0 1 2 3", "1 2 3"), *stopped]), previous=first)
    assert second.sections == first.sections[1:]


def test_a_call_without_video():
    video = offer("chrome_pub"), offer("chrome_both")
    for text in video:
        with pytest.raises(OfferError, match="no video") as refused:
            agreed(text, None)
        assert refused.value.denied
    silent = offer("chrome_both").split("m=")
    silent[2] = silent[2].replace("a=sendrecv", "a=recvonly")
    assert [each.receives for each in agreed("m=".join(silent), None)] == [True, False]
    assert len(agreed(offer("chrome_sub"), None)) == 4  # slots for later
    before = answered(offer("chrome_pub"))
    assert agreed(offer("chrome_pub"), before) == before.sections  # an ICE restart after a downgrade


def agreed(text: str, previous: Negotiated | None) -> tuple[Section, ...]:
    given = {"publish": True, "subscribe": True, "previous": previous, "new_ssrc": count(7000).__next__}
    return agree(read(text), **given, video=False)[1]


def test_the_codecs_of_different_clients_meet():
    chrome = {codec.format for codec in answered(offer("chrome_sub")).sections[2].codecs}
    for name in ("gstreamer", "ffmpeg", "obs", "aiortc"):
        section = next(each for each in answered(offer(name)).sections if each.kind is Kind.VIDEO)
        assert section.codecs[0].format in chrome, name


def test_rights():
    denied = "neither"
    with pytest.raises(OfferError, match=denied) as refused:
        answered(offer("chrome_pub"), publish=False)
    assert refused.value.denied
    with pytest.raises(OfferError, match=denied) as refused:
        answered(offer("chrome_sub"), subscribe=False)
    assert refused.value.denied
    listener = answered(offer("chrome_both"), publish=False)
    assert {(each.receives, each.sends) for each in listener.sections} == {(False, True)}
    assert "a=simulcast" not in listener.sdp
    speaker = answered(offer("chrome_both"), subscribe=False)
    assert {(each.receives, each.sends, each.ssrc) for each in speaker.sections} == {(True, False, None)}
    mixed = offer("chrome_both").replace("a=sendrecv", "a=sendonly", 1)
    assert answered(mixed, publish=False).sdp.count("a=inactive\r\n") == 2  # and the data channel


def test_slots_keep_their_ssrcs_for_the_life_of_the_connection():
    first = answered(offer("chrome_sub"))
    paused = offer("chrome_sub").replace("a=recvonly", "a=inactive")
    second = answered(paused, previous=first)
    assert {(each.receives, each.sends) for each in second.sections} == {(False, False)}
    third = answered(offer("chrome_sub"), previous=second)
    assert third.sections == first.sections
    origins = [each.sdp.split("\r\n")[1].split() for each in (first, second, third)]
    assert len({origin[1] for origin in origins}) == 1
    assert [int(origin[2]) for origin in origins] == [1, 2, 3]


def test_sections_come_and_go():
    first = answered(offer("chrome_sub"))
    head, *sections = offer("chrome_sub").split("m=")
    stopped = [*sections[:3], sections[3].replace("video 9", "video 0", 1)]
    fewer = "m=".join([head.replace("0 1 2 3", "0 1 2"), *stopped])
    second = answered(fewer, previous=first)
    assert [each.mid for each in second.sections] == ["0", "1", "2"]
    assert parsed(second.sdp).media[3].port == 0
    again = [*sections[:3], sections[3].replace("a=mid:3", "a=mid:9")]
    third = answered("m=".join([head.replace("0 1 2 3", "0 1 2 9"), *again]), previous=second)
    assert [each.mid for each in third.sections] == ["0", "1", "2", "9"]
    assert third.sections[:3] == first.sections[:3]
    assert third.sections[3].ssrc not in {each.ssrc for each in first.sections}


def test_a_mid_that_comes_back_as_another_kind_is_something_new():
    first = answered(offer("chrome_both"))
    head, audio, video, data = offer("chrome_both").split("m=")
    swapped = [audio.replace("a=mid:0", "a=mid:1"), video.replace("a=mid:1", "a=mid:0"), data]
    second = answered("m=".join([head, *swapped]), previous=first)
    assert not {each.ssrc for each in first.sections} & {each.ssrc for each in second.sections}


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("a=group:BUNDLE 0 1\r\n", "", "BUNDLE"),
        ("a=group:BUNDLE 0 1\r\n", "a=group:BUNDLE 0\r\n", "BUNDLE"),
        ("a=rtcp-mux\r\n", "", "multiplexed"),
        ("a=ice-ufrag:", "a=x-ufrag:", "ICE"),
        ("a=ice-pwd:", "a=ice-pwd:<>", "ICE"),
        ("sha-256", "sha-1", "fingerprint"),
        ("sha-256 7", "sha-256 G", "fingerprint"),
        ("a=setup:actpass", "a=setup:holdconn", "setup"),
        ("a=mid:1\r\n", "a=mid:0\r\n", "same mid"),
        ("a=mid:1\r\n", "", "no mid"),
        ("a=mid:1\r\n", "a=mid:one two\r\n", "not a mid"),
        ("a=mid:1\r\n", f"a=mid:{'1' * 17}\r\n", "not a mid"),
        ("m=video 9", "m=video 99999", "number"),
        ("a=rtpmap:96 VP8/90000", "a=rtpmap:-96 VP8/90000", "number"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/" + "9" * 5000, "line"),
        ("v=0", "hello", "v=0"),
        ("t=0 0", "t=0 0\r\nnonsense", "line"),
        ("t=0 0", "t=0 0\r\na=x\x00y", "line"),
        ("m=", "m=text 9 RTP/AVP 0\r\nm=", None),
    ],
)
def test_what_cannot_be_answered(old, new, detail):
    text = offer("chrome_pub").replace(old, new)
    assert text != offer("chrome_pub")
    if detail is None:
        assert [media.port for media in parsed(answered(text).sdp).media][::2] == [0, 0]
        return
    with pytest.raises(OfferError, match=detail) as refused:
        answered(text)
    assert not refused.value.denied


def test_nothing_but_data_is_no_media():
    head, _, _, data = offer("chrome_both").split("m=")
    with pytest.raises(OfferError, match="no section"):
        answered(f"{head}m={data}")


def test_whether_a_connection_only_receives():
    assert read(offer("chrome_sub")).receives_only
    assert not read(offer("chrome_pub")).receives_only
    assert not read(offer("aiortc")).receives_only


def test_sizes_are_bounded():
    section = offer("chrome_sub").split("m=")[1]
    with pytest.raises(OfferError, match="sections"):
        answered("v=0\r\n" + f"m={section}" * 65)
    with pytest.raises(OfferError, match="characters"):
        answered(offer("chrome_sub") + "a=x:y\r\n" * 100_000)


def test_alternative_and_paused_layers():
    text = offer("chrome_pub").replace("a=simulcast:send q;h;f", "a=simulcast:recv x send ~f;h,q")
    assert answered(text).sections[1].rids == ("f", "h")
    unknown = offer("chrome_pub").replace("a=simulcast:send q;h;f", "a=simulcast:send q;z")
    assert answered(unknown).sections[1].rids == ("q",)
