"""Key frames and sizes, of payloads that aiortc's encoders write and of ones written by hand."""

from fractions import Fraction
from struct import pack

import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from av import CodecContext, VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from service.media.worker.codecs import KEYS, av1_key, h264_key, vp8_key, vp9_key
from service.media.worker.rewrite import Pictures, next_timestamp, picture_of, renumber
from service.media.worker.sizes import SIZES
from tests.media.worker.wire import vp8


def frames(count, width, height):
    for number in range(count):
        frame = VideoFrame(width=width, height=height, format="yuv420p")
        for plane in frame.planes:
            plane.update(bytes([number * 40 & 255]) * plane.buffer_size)
        frame.pts, frame.time_base = number * 3000, Fraction(1, 90000)
        yield frame


@pytest.mark.parametrize(
    ("name", "encoder", "size"),
    [
        ("vp8", Vp8Encoder, (320, 240)),
        ("vp8", Vp8Encoder, (1280, 720)),
        ("h264", H264Encoder, (640, 360)),
        ("h264", H264Encoder, (1280, 720)),
    ],
)
def test_real_encoders_begin_with_a_key_frame_of_their_size_and_go_on_without(name, encoder, size):
    encode, keys, sizes = encoder(), [], set()
    for number, frame in enumerate(frames(6, *size)):
        payloads, _ = encode.encode(frame, force_keyframe=number == 3)
        keys.append(any(KEYS[name](payload) for payload in payloads))
        sizes |= {SIZES[name](payload) for payload in payloads if KEYS[name](payload)}
    assert keys == [True, False, False, True, False, False]
    assert sizes - {None} == {size}


def encoded(name, size, pixels="yuv420p", **options):
    """What an encoder of FFmpeg makes of two pictures."""
    context = CodecContext.create(name, "w")
    context.width, context.height = size
    context.pix_fmt, context.time_base, context.framerate = pixels, Fraction(1, 30), 30
    context.options = options
    written = []
    for number, frame in enumerate(frames(2, *size)):
        frame.pts, frame.time_base = number, context.time_base
        written += [bytes(packet) for packet in context.encode(frame.reformat(format=pixels))]
    return written + [bytes(packet) for packet in context.encode()]


LAYERS = b"\x30" + pack("!4H", 320, 180, 640, 360)
GROUPS = b"\x08\x02\x04\x01\x08\x01\x02"
DESCRIPTORS = (
    b"\x08",
    b"\x88\x05",  # picture id
    b"\x88\x81\x02",
    b"\xa8\x81\x02\x00\x07",  # layer and TL0PICIDX
    b"\xb8\x05\x00",  # flexible mode, which has no TL0PICIDX
    b"\x0a" + GROUPS,
)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "gbrp"])
@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (101, 57)])
def test_a_real_vp9_encoder_tells_its_size(size, pixels):
    first, second = encoded("libvpx-vp9", size, pixels, deadline="realtime", **{"lag-in-frames": "0"})
    for descriptor in DESCRIPTORS:
        assert vp9_key(descriptor + first)
        assert SIZES["vp9"](descriptor + first) == size
    assert SIZES["vp9"](b"\x08" + second) is None
    assert SIZES["vp9"](b"\xaa\x81\x02\x00\x07" + LAYERS + first) == (640, 360)


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (102, 58)])
def test_a_real_av1_encoder_tells_its_size(size):
    first = encoded("libsvtav1", size, preset="12")[0]
    assert (
        first[:3] == b"\x12\x00\x0a"
    )  # a temporal delimiter, which is not sent, and a sequence header with its length
    length = first[3]
    sequence = first[4 : 4 + length]
    for payload in (
        b"\x18\x0a" + first[3:],
        b"\x18\x08" + sequence,
        b"\x18\x0c\x00" + sequence,
        bytes((0x28, length + 1, 0x08)) + sequence + b"\x30frame",
        bytes((0x08, length + 1, 0x08)) + sequence + b"\x06\x30frame",
    ):
        assert av1_key(payload)
        assert SIZES["av1"](payload) == size
    assert SIZES["av1"](b"\x18\x30frame") is None


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (b"\x65\x88", True),
        (b"\x67\x42", True),
        (b"\x41\x9a", False),
        (b"\x06\x05", False),
        (b"\x7c\x85", True),  # FU-A, start of an IDR
        (b"\x7c\x05", False),  # its middle
        (b"\x7c\x81", False),  # start of another picture
        (b"\x78" + pack("!H", 2) + b"\x67\x42" + pack("!H", 2) + b"\x68\xce", True),
        (b"\x78" + pack("!H", 2) + b"\x06\x42" + pack("!H", 2) + b"\x65\xce", True),
        (b"\x78" + pack("!H", 2) + b"\x06\x42" + pack("!H", 90) + b"\x65\xce", False),
        (b"\x78" + pack("!H", 0) * 9, False),
        (b"", False),
        (b"\x7c", False),
    ],
)
def test_h264(payload, key):
    assert h264_key(payload) is key


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (b"\x08\x00", True),
        (b"\x48\x00", False),  # predicted
        (b"\x00\x00", False),  # not the beginning
        (b"\x88\x81\x02", True),  # picture id of two bytes
        (b"\xa8\x01\x00\x00", True),  # with layers: the lowest
        (b"\xa8\x81\x02\x02\x00", False),  # the second spatial layer
        (b"\xa8\x81", False),
        (b"", False),
    ],
)
def test_vp9(payload, key):
    assert vp9_key(payload) is key


@pytest.mark.parametrize(
    ("payload", "key"), [(b"\x08\0", True), (b"\x18\0", True), (b"\x88\0", False), (b"\x10\0", False), (b"", False)]
)
def test_av1(payload, key):
    assert av1_key(payload) is key


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (vp8(key=True), True),
        (vp8(key=True, picture=5, level=7), True),
        (vp8(), False),
        (vp8(start=False), False),
        (b"\x11\x10", False),  # the second partition
        (b"\x90\x80", False),
        (b"\x90\xf0\x80", False),
        (b"\x90", False),
        (b"\x10\x00", True),
        (b"\x90\x20\x40\x00", True),
    ],
)
def test_vp8(payload, key):
    assert vp8_key(payload) is key


@given(st.binary(max_size=80), st.sampled_from(sorted(KEYS)))
def test_no_payload_makes_a_reader_raise(payload, name):
    KEYS[name](payload)
    if name in SIZES:
        SIZES[name](payload)
    found = picture_of(payload)
    buffer = bytearray(200)
    buffer[50 : 50 + len(payload)] = payload
    renumber(buffer, 50, found, (1, 1))
    assert buffer[:50] == bytes(50)
    assert buffer[50 + len(payload) :] == bytes(150 - len(payload))


@given(st.integers(0, 0x7FFF), st.integers(0, 255), st.integers(0, 0x7FFF), st.integers(0, 255), st.integers(0, 500))
def test_counters_go_on_from_where_the_last_source_stopped(last, last_level, first, first_level, further):
    pictures = Pictures()
    pictures.join(vp8(picture=last, level=last_level))
    pictures.leave(vp8(picture=last, level=last_level))
    add = pictures.join(vp8(picture=first, level=first_level))
    payload = bytearray(vp8(picture=first + further & 0x7FFF, level=first_level + further & 255))
    renumber(payload, 0, picture_of(bytes(payload)), add)
    _, size, number, _, level = picture_of(payload)
    assert (size, number, level) == (2, last + 1 + further & 0x7FFF, last_level + 1 + further & 255)


@pytest.mark.parametrize(
    ("elapsed", "captured", "expected"),
    [
        (0.1, None, 9000),
        (0.0, None, 1),
        (0.4, 0.1, 9000),
        (0.1, -0.033, 1),
        (0.1, 5.0, 9000),
        (86400.0, None, 86400 * 90000 & 0xFFFFFFFF),
    ],
)
def test_time_goes_on_by_the_publishers_clock_where_that_is_plausible(elapsed, captured, expected):
    assert (next_timestamp(0xFFFFFFF0, elapsed, captured, 90000) - 0xFFFFFFF0) & 0xFFFFFFFF == expected
