"""Who may send how much at once, so that receivers which hang or fail slow down nobody but themselves.

A lane is a run of one stream's events on its way to one webhook. Two pools, counted apart: `most_at_once` for webhooks
that take what they get, and half as many for those that fail or keep somebody waiting for `slow_s`. A pool can be empty
because of others; therefore the first `FIRST_AT_ONCE` of a webhook that is not failing come out of no pool. Only
`most_in_all` bounds everything, as open files do; when that is used up, whoever has been slow the longest makes room.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.core.pacing import FIRST_AT_ONCE, Pace, faster, slower

MOST_PACES = 10_000
"""So many webhooks' paces are remembered; whose is forgotten begins anew."""


@dataclass(slots=True, frozen=True)
class LanesConfig:
    """Deliveries under way: in the pools, for one webhook, in all. Slow is who takes longer than `slow_s`."""

    most_at_once: int = 256
    per_webhook: int = 16
    most_in_all: int = 1_024
    slow_s: float = 2.0


class Lanes:
    """Counts what one process has under way, and says what there is room for. Times are those of the event loop."""

    def __init__(self, config: LanesConfig | None = None) -> None:
        self._config = config or LanesConfig()
        self._flying: Counter[UUID] = Counter()
        self._failing: set[UUID] = set()
        self._slow: set[UUID] = set()
        self._paces: dict[UUID, Pace] = {}

    @property
    def flying(self) -> frozenset[UUID]:
        """Webhooks with something under way."""
        return frozenset(self._flying)

    def took_off(self, webhook: UUID, count: int) -> None:
        """So many deliveries are under way."""
        self._flying[webhook] += count

    def landed(self, webhook: UUID, count: int) -> None:
        """So many no longer are."""
        self._flying[webhook] -= count
        if not self._flying[webhook]:
            del self._flying[webhook]

    def took(self, webhook: UUID) -> None:
        """A request succeeded."""
        self._failing.discard(webhook)
        self._remember(webhook, faster(self.pace(webhook), self._config.per_webhook))

    def failed(self, webhook: UUID) -> None:
        """A request did not; from now on there is one at a time, until one succeeds."""
        self._failing.add(webhook)

    def overran(self, webhook: UUID, began: datetime, now: datetime) -> Pace:
        """A request was answered as by somebody who has too much to do; the pace from now on."""
        pace = slower(self.pace(webhook), began, now)
        self._remember(webhook, pace)
        return pace

    def pace(self, webhook: UUID) -> Pace:
        """How many requests the webhook gets at once while it does not fail."""
        return self._paces.get(webhook, Pace())

    def know_failing(self, failing: Iterable[UUID], newer: Iterable[UUID]) -> None:
        """What the database says of who fails counts, except for those of whom it does not know the latest yet."""
        self._failing &= frozenset(newer)
        self._failing.update(failing)

    def is_slow(self, began: float, now: float) -> bool:
        """Whether a request that is under way since then takes too long."""
        return now - began > self._config.slow_s

    def know_slow(self, since: Iterable[tuple[UUID, float]], now: float) -> None:
        """Webhooks with the moment their requests under way began: whoever has one for too long is slow."""
        self._slow = {webhook for webhook, began in since if self.is_slow(began, now)}

    def lacking(self) -> int:
        """How many requests must end so that others come by: a quarter of all places, when all are taken."""
        most = self._config.most_in_all
        return (most + 3) // 4 if self._flying.total() >= most else 0

    def room(self, webhooks: Iterable[UUID]) -> dict[UUID, int]:
        """How many deliveries more may be under way, for those of these webhooks for whom there is any."""
        how = self._config
        suspects = self._failing | self._slow
        of_suspects, total = sum(self._flying[webhook] for webhook in suspects), self._flying.total()
        left_for_suspects = how.most_at_once // 2 - of_suspects
        left = how.most_at_once - (total - of_suspects)
        in_all = how.most_in_all - total
        found: dict[UUID, int] = {}
        for webhook in webhooks:
            flying, suspect = self._flying[webhook], webhook in suspects
            at_once = 1 if webhook in self._failing else min(self.pace(webhook).at_once, how.per_webhook)
            wanted = at_once - flying
            free = min(wanted, left_for_suspects if suspect else left)
            if not suspect:
                free = max(free, min(wanted, FIRST_AT_ONCE - flying))
            free = min(free, in_all)
            if free > 0:
                found[webhook] = free
                in_all -= free
                if suspect:
                    left_for_suspects -= free
                else:
                    left -= free
        return found

    def _remember(self, webhook: UUID, pace: Pace) -> None:
        self._paces.pop(webhook, None)
        self._paces[webhook] = pace
        if len(self._paces) > MOST_PACES:
            del self._paces[next(iter(self._paces))]
