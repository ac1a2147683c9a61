"""Key frames of any size in one packet each, written by hand, with a text where the picture would be."""

from struct import pack


def vp8(width, height, text):
    return b"\x10\x10\x02\x00\x9d\x01\x2a" + pack("<HH", width, height) + text


def h264(width, height, text):
    """A STAP-A of a sequence parameter set (constrained baseline) and an IDR slice."""
    across, down = -(-width // 16), -(-height // 16)
    crop = [(1, 1), *map(golomb, (0, (16 * across - width) // 2, 0, (16 * down - height) // 2))]
    fields = [(8, 66), (8, 0xE0), (8, 31), golomb(0), golomb(0), golomb(2), golomb(1), (1, 0)]
    fields += [golomb(across - 1), golomb(down - 1), (1, 1), (1, 1), *crop, (1, 0), (1, 1)]
    units = (b"\x67" + bits(*fields), b"\x65" + text)
    return b"\x78" + b"".join(pack("!H", len(unit)) + unit for unit in units)


def vp9(width, height, text):
    return b"\x08\x82\x49\x83\x42" + bits((4, 0), (16, width - 1), (16, height - 1)) + text


def av1(width, height, text):
    """Two elements: a sequence header and a frame."""
    sequence = bits((24, 0), (5, 0), (4, 15), (4, 15), (16, width - 1), (16, height - 1))
    return bytes((0x28, len(sequence) + 1, 0x08)) + sequence + b"\x30" + text


def golomb(value):
    return 2 * (value + 1).bit_length() - 1, value + 1


def bits(*fields):
    """Numbers of so many bits each, and zeros up to a whole byte."""
    size = value = 0
    for width, number in fields:
        size, value = size + width, value << width | number
    return (value << -size % 8).to_bytes(-(-size // 8), "big")
