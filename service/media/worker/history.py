"""The last packets of an encoding, shared by all who were sent them: for retransmission and for late key frames."""

from typing import Final

SIZE: Final = 512
MOST: Final = 12  # of one connection that are kept: four times three layers, 0.8 MB each at most

Row = tuple[int, int, int, bytearray, int]
"""Sequence (extended, without holes of padding), marker bit (0 or 128), RTP timestamp, payload, extension byte."""


class History:
    """A ring of rows by sequence."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[Row | None] = [None] * SIZE

    def get(self, sequence: int) -> Row | None:
        row = self.rows[sequence & (SIZE - 1)]
        return row if row is not None and row[0] == sequence else None

    def clear(self) -> None:
        self.rows = [None] * SIZE
