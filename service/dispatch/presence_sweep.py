"""Coming by everybody, slowly and for ever: what a killed process was to tell, and what nobody had room to remember."""

from enum import IntEnum

from service.store.database import Database
from service.store.presence_sweep import Passed, Place, page

START: Place = ("", "")


class Care(IntEnum):
    """Who is looked at again on one way through all users."""

    DOUBTFUL = 0
    ASTIR = 1
    ALL = 2


class Sweep:
    """One process's way through the users. In a hurry whoever was told to be anything but offline is looked at, too.

    That is so at the start and when another process died: a second for 20,000 users. Otherwise it is for what neither
    explains, a thousand users every five seconds.
    """

    def __init__(self, database: Database, at_once: int) -> None:
        self._database = database
        self._at_once = at_once
        self._place = START
        self._care = Care.ASTIR
        self._again = False

    @property
    def hurried(self) -> bool:
        """Whether somebody waits for it."""
        return self._care is not Care.DOUBTFUL

    def hurry(self) -> None:
        """A process has died, and nobody knows what it had yet to tell: come by everybody soon."""
        if self._care is Care.DOUBTFUL:
            self._place, self._care = START, Care.ASTIR

    def look_at_all(self) -> None:
        """Somebody has been forgotten, and nobody knows who: look at everybody once."""
        if self._care is Care.ALL:
            self._again = self._again or self._place != START
        else:
            self._place, self._care = START, Care.ALL

    async def run_once(self) -> list[Place]:
        """Go on for one page; returns who must be looked at. Raises `StoreUnavailableError`."""
        place, care = self._place, self._care
        async with self._database.hot() as driver:
            found = await page(driver, place, self._at_once)
        if (place, care) == (self._place, self._care):
            last = found[-1] if len(found) == self._at_once else None
            self._place = (last.app_id, last.user_id) if last else START
            if last is None:
                self._care = Care.ALL if self._again else Care.DOUBTFUL
                self._again = False
        return [(user.app_id, user.user_id) for user in found if _concerns(user, care)]


def _concerns(user: Passed, care: Care) -> bool:
    return user.doubtful or care is Care.ALL or (care is Care.ASTIR and user.astir)
