"""What arrives in the slots of a receiving connection, counted where it can be decoded."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from service.client import Slot
from service.demo.peer import NoMedia
from service.demo.tracks import shade_of

AUDIO, VIDEO = "audio", "video"
PATIENCE_S = 20.0


@dataclass(slots=True)
class Showing:
    """One slot: how many pieces of sound or pictures came in it altogether, and of whom it is now.

    `since` is what had come when it became theirs; `shade` the grey of the newest picture.
    """

    kind: str
    user_id: str | None = None
    stream_id: str | None = None
    total: int = 0
    since: int = 0
    shade: int = 0

    @property
    def came(self) -> int:
        """How many came of the one whose it is now."""
        return self.total - self.since


class Slots:
    """The slots of one connection, by mid. `first_picture_at` is by the loop's clock."""

    def __init__(self) -> None:
        self.by_mid: dict[str, Showing] = {}
        self.first_picture_at: float | None = None
        self._news = asyncio.Condition()
        self._readers: set[asyncio.Task[None]] = set()

    def read(self, track: MediaStreamTrack, mid: str) -> None:
        """Decode and count what comes in this slot, from now on."""
        showing = self.by_mid.setdefault(mid, Showing(track.kind))
        self._readers.add(asyncio.create_task(self._count(track, showing), name=f"slot {mid}"))

    async def told(self, slots: Iterable[Slot]) -> None:
        """Whose they are now."""
        for slot in slots:
            showing = self.by_mid.setdefault(slot.mid, Showing(slot.kind))
            if showing.stream_id != slot.stream_id:
                showing.user_id, showing.stream_id, showing.since = slot.user_id, slot.stream_id, showing.total
        await self._tell()

    def of(self, user_id: str, kind: str) -> Showing | None:
        """The slot in which that user is heard, or seen."""
        found = (showing for showing in self.by_mid.values() if (showing.user_id, showing.kind) == (user_id, kind))
        return next(found, None)

    def users(self) -> set[str]:
        """Everybody who is in some slot."""
        return {showing.user_id for showing in self.by_mid.values() if showing.user_id}

    def came(self, user_id: str, kind: str) -> int:
        """How much of that user's sound, or how many pictures, came since they are in their slot."""
        showing = self.of(user_id, kind)
        return showing.came if showing else 0

    async def heard_and_seen(self, users: Sequence[str], sounds: int, pictures: int) -> None:
        """Wait until that much of each of them has arrived. Raises `NoMedia`."""
        await self.until(
            lambda: all(self.came(user, AUDIO) >= sounds and self.came(user, VIDEO) >= pictures for user in users)
        )

    async def first_picture(self) -> None:
        """Wait for it. Raises `NoMedia`."""
        await self.until(lambda: self.first_picture_at is not None)

    async def without(self, user_id: str) -> None:
        """Wait until that user is in none of the slots. Raises `NoMedia`."""
        await self.until(lambda: user_id not in self.users())

    async def more(self, user_id: str, kind: str, count: int) -> None:
        """Wait for that much more of one. Raises `NoMedia`."""
        enough = self.came(user_id, kind) + count
        await self.until(lambda: self.came(user_id, kind) >= enough)

    async def until(self, wanted: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        """Wait until that holds; looked at whenever something arrives. Raises `NoMedia`."""
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(wanted)
        except TimeoutError:
            raise NoMedia(f"only {list(self.by_mid.values())} within {within_s:.0f} s") from None

    async def close(self) -> None:
        """Read no more."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _count(self, track: MediaStreamTrack, showing: Showing) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            showing.total += 1
            if isinstance(frame, VideoFrame):
                showing.shade = shade_of(frame)
                if self.first_picture_at is None:
                    self.first_picture_at = asyncio.get_running_loop().time()
            await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
