"""What one process is made of, by its roles. Everything is constructed here, with the clocks that app.py hands in."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import FrameType
from uuid import UUID

import uvicorn

from service.api.application import build_api
from service.api.auth import Gate
from service.api.bell import Bell
from service.api.deps import ApiConfig, Deps
from service.api.limits import Limits
from service.api.protocol import HttpProtocol
from service.api.rest import health
from service.api.timing import Timing
from service.api.ws.deps import SocketDeps
from service.api.ws.endpoint import ws_route
from service.api.ws.transport import SocketProtocol
from service.config import Role, Settings
from service.core.calls import Call, Leg, Ring
from service.core.vocabulary import AlertKind, Channel
from service.dispatch.alerts import AlertSender, Moved
from service.dispatch.guard import Guard, SystemResolver
from service.dispatch.letters import Letters
from service.dispatch.media import MediaControl, actor_of
from service.dispatch.media_notices import Notices
from service.dispatch.media_reports import Reports
from service.dispatch.post import PostConfig, Poster
from service.dispatch.presence import PresenceConfig, PresenceTeller, Spoken
from service.dispatch.push.apns import ApnsChannel
from service.dispatch.push.apprise import Apprise
from service.dispatch.push.channel import Channel as Way
from service.dispatch.push.channel import Receipt
from service.dispatch.push.email import EmailChannel
from service.dispatch.push.fcm import FcmChannel
from service.dispatch.push.message import MessageChannel, MessageConfig
from service.dispatch.push.webpush import WebPushChannel
from service.dispatch.robots import Robots
from service.dispatch.rules import RuleExpander
from service.dispatch.webhooks import WebhooksConfig, WebhookSender
from service.live.answers import Answers
from service.live.audience import Audience
from service.live.bus import Bus, BusConfig, Calling
from service.live.catchup import CatchUp
from service.live.desk import Desk
from service.live.errands import Errands
from service.live.farewell import Farewell
from service.live.hub import Hub
from service.live.relay import Relay
from service.live.sightings import Sightings
from service.live.wakes import Wakes
from service.live.watchers import Sighting, Watchers
from service.media.checkup import out_of_reach
from service.media.local import Ears, LocalMedia
from service.store.apps import AppBook, SigningKey
from service.store.clock import DatabaseClock
from service.store.credentials import CredentialBook
from service.store.database import Database, StoreUnavailableError
from service.store.embedded import EmbeddedPostgres
from service.store.orphans import live_calls
from service.store.provider_tokens import ProviderTokens
from service.store.revocations import RevocationBook
from service.switchboard.attendance import Attendance
from service.switchboard.auditing import Memory
from service.switchboard.board import Sending, Switchboard
from service.switchboard.chronicle import Chronicle
from service.switchboard.counting import Counting
from service.telemetry.logs import logger
from service.telemetry.metrics import Metrics
from service.telemetry.tasks import Supervisor
from service.timers.deadlines import Deadlines
from service.timers.leases import Orphans
from service.timers.metronome import Metronome
from service.timers.retention import Retention
from service.wire.feed import Told, new_id
from service.wire.sealing import Vault
from service.wire.tokens import RingClaims, TokenKey, mint_ring

FRAME_LIMIT = 256 * 1024
"""Bytes: the longest session description also when every line end of it is escaped."""
HEARTBEAT_S = 15.0
BACKLOG = 4096
GOING_AWAY = 1001
CLOCK_S = 10
RETENTION_S = 600.0
ORPHANS_S = 60.0
GAUGE_S = 15.0
REVIVE_S = 1.0
LAST_WORDS_S = 2.0
"""How long a stopping process tells whose presence ends with it."""


@dataclass(slots=True, frozen=True)
class Clocks:
    """The clocks of the process, in seconds: since the epoch; and two that never run backwards, coarse and fine."""

    epoch: Callable[[], float]
    steady: Callable[[], float]
    fine: Callable[[], float]


class FrontServer(uvicorn.Server):
    """uvicorn's server, with the signals left to the process and a moment to wait for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own affair: sockets must be told before they are closed."""
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Not reached; see above."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@dataclass(slots=True, frozen=True)
class Place:
    """Where the database is; `embedded` is the server that this process looks after, if it does.

    `own_key` is the key in the data folder, if there is one.
    """

    url: str
    embedded: EmbeddedPostgres | None = None
    own_key: str | None = field(default=None, repr=False)


class MediaParts:
    """The media room of a process: the desk in every one, workers in those with the role."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        database: Database,
        clock: DatabaseClock,
        hub: Hub,
        wakes: Wakes,
    ) -> None:
        replica_id = wakes.replica_id
        carried: dict[UUID, Call] = {}
        answers, audience = Answers(database, hub, wakes), Audience(database, hub, wakes)
        self.errands = Errands()
        self.reports = Reports(actor_of(replica_id))
        self.notices = Notices(database, audience, clock.utc, carried.get, timedelta(seconds=settings.media_quality_s))
        self.local: LocalMedia | None = None
        if settings.media == "local" and Role.MEDIA in settings.roles:
            if told := out_of_reach(settings.media_workers(), remote=settings.serves_others):
                logger("media").warning(told)
            ears = Ears(self.reports.hear, self.notices.hear, answers.deliver)
            self.local = local = LocalMedia(replica_id, settings.media_workers(), ears, metrics=metrics)
            metrics.media_workers.set_function(lambda: len(local.pool.workers))
            metrics.media_rooms.set_function(lambda: len(local.rooms))
            metrics.media_withheld.set_function(lambda: local.pool.withheld)
        self.desk = Desk(database, hub, wakes, self.errands, answers, audience, self.local)
        self.control = MediaControl(database, self.desk, wakes, self.errands, carried, self.local)

    async def start(self, supervisor: Supervisor, switchboard: Switchboard) -> None:
        """Begin to look after routed calls."""
        supervisor.start("media", partial(self.control.run, switchboard))
        if self.local:
            supervisor.start("media adoption", partial(self.control.run_adoption, switchboard))
            supervisor.start("media reports", partial(self.reports.run, switchboard))
            supervisor.start("media notices", self.notices.run)
            await self.local.start()

    async def close(self) -> None:
        """Let go; workers with calls wait a while for the next service."""
        if self.local:
            await self.local.close()
            await self.notices.close()


def channels(settings: Settings, database: Database, vault: Vault | None) -> dict[Channel, Way]:
    """Every way to reach phones and people. Constructed inside the event loop."""
    private = settings.allow_private_webhooks
    resolver = SystemResolver()
    message = MessageConfig(allow_private=private)
    posting = PostConfig(timeout_s=message.timeout_s, allow_private=private)
    poster = Poster(Guard(resolver, allow_private=private), posting)
    ways: dict[Channel, Way] = {
        Channel.FCM: FcmChannel(resolver, settings.fcm()),
        Channel.WEBPUSH: WebPushChannel(resolver, settings.webpush()),
        Channel.EMAIL: EmailChannel(Guard(resolver, allow_private=private)),
        Channel.MESSAGE: MessageChannel(poster, Apprise(), message),
    }
    # Without a key nobody's credentials are found, which is what alerts then say; no token is ever made.
    tokens = ProviderTokens(database, vault or Vault([secrets.token_urlsafe(32)]))
    ways[Channel.APNS] = ApnsChannel(tokens, settings.apns())
    return ways


class AlertParts:
    """What reaches phones and people outside the sockets; a process with the role `dispatch` sends it."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        book: AppBook,
        clock: DatabaseClock,
        vault: Vault | None,
        credentials: CredentialBook,
        counting: Counting,
        moved: Moved,
    ) -> None:
        self._book = book
        self._clock = clock
        self._counting = counting
        self.base_url = settings.public_url or ""
        ways = channels(settings, database, vault)
        letters = Letters(self._ring_token, lambda: self.base_url)
        self.sender = AlertSender(database, ways, credentials, letters, clock.utc, counted=self._counted, moved=moved)
        self.rules = RuleExpander(database, self.sender.look_after)

    async def _ring_token(self, call: Call, leg: Leg, ring: Ring, until: datetime) -> str | None:
        signer = await self._book.signer(call.app_id)
        return ring_token(signer, call, leg, ring, self._clock(), until) if signer else None

    def _counted(self, channel: Channel, kind: AlertKind, receipt: Receipt) -> None:
        reason = None if receipt.taken else receipt.reason or "unknown"
        self._counting.alert(channel, kind, receipt.outcome.value, reason, receipt.latency_ms / 1000)


class Service:
    """Everything one process is made of. Constructed inside the event loop."""

    def __init__(self, settings: Settings, place: Place, clocks: Clocks) -> None:
        self.clocks = clocks
        self.settings = settings
        self.embedded = place.embedded
        self.log = logger("app")
        self.replica_id = new_id()
        self.metrics = Metrics()
        self.database = Database(settings.database(place.url))
        self.metrics.watch_pool(self.database.connections)
        self.vault = settings.vault(place.own_key)
        self.keys = CredentialBook(self.database, self.vault, clocks.steady)
        self.clock = DatabaseClock(self.database, clocks.epoch)
        self.book = AppBook(self.database, clocks.steady)
        self.gate = Gate(self.book, RevocationBook(self.database, clocks.steady), self.clock)
        self.counting = Counting(self.metrics)
        self.chronicle = Chronicle()
        patience = PresenceConfig(patience_s=settings.lease_s)
        self.presence = PresenceTeller(
            self.database, self.book, patience, self._presence_told, alone=lambda: self.bus.alone
        )
        self.alerts = self._alert_parts()
        self.switchboard = self._switchboard()
        self.hub = Hub(self.clock.utc, self._ring_token)
        self.wakes = Wakes(self.replica_id)
        self.media = MediaParts(settings, self.metrics, self.database, self.clock, self.hub, self.wakes)
        self.relay = Relay(self.database, self.hub, self.wakes, self.media.desk)
        self.watchers = Watchers()
        self.sightings = Sightings(self.database, self.book, self.watchers)
        self.bus = Bus(self.database, self.hub, self.relay, self.wakes, BusConfig(), self.sightings, self._calling())
        lease_s, moved, died = settings.lease_s, self.presence.mark, self.presence.replica_died
        self.attendance = Attendance(self.database, self.switchboard, self.replica_id, lease_s, moved, died)
        self.deadlines = Deadlines(self.database, self.switchboard, self.metrics.timer_lateness.observe)
        self.supervisor = Supervisor(
            (StoreUnavailableError,), lambda name: self.metrics.task_restarts.labels(name).inc()
        )
        self.metronome = Metronome()
        self.webhooks = self._webhook_sender()
        self.robots = Robots(self.database, self.book)
        self.bell = Bell()
        self.metrics.sockets.set_function(lambda: len(self.hub.sessions()))
        self.server = FrontServer(self._server_config())
        self._listeners = (
            self.hub.told,
            self.bus.told,
            self.deadlines.told,
            self.webhooks.wake,
            *([self.alerts.sender.wake, self.alerts.rules.wake] if Role.DISPATCH in settings.roles else []),
            self.bell.ring,
            self.counting.told,
            self.chronicle.told,
            self.robots.hear,
            self.presence.hear,
            self.media.control.hear,
            self.media.desk.noticed,
        )
        self._serving: asyncio.Task[None] | None = None
        self._stopping = False

    def _told(self, batch: Sequence[Told]) -> None:
        for listener in self._listeners:
            try:
                listener(batch)
            except Exception:
                self.log.exception("a listener failed")

    def _switchboard(self) -> Switchboard:
        sender, workers = self.alerts.sender, self.settings.media == "local"
        sending = Sending(sender.lease_s, sender.take)
        return Switchboard(self.database, [self._told], self.counting.command, workers=workers, sending=sending)

    def _calling(self) -> Calling:
        due = self._lanes_due if Role.DISPATCH in self.settings.roles else None
        return Calling(self.media.errands.look, due, self.switchboard.recent.heard_of)

    def _lanes_due(self, lanes: Sequence[str]) -> None:
        self.alerts.sender.look_after(lanes)
        self.alerts.rules.look_after(lanes)

    def _presence_told(self, spoken: Spoken) -> None:
        self.webhooks.look_after(spoken.webhooks)
        self.bell.ring_for(spoken.app_id)
        self.bus.presence_told(spoken.envelopes)
        visible_to = spoken.settings.busy_with_visible_to
        self.watchers.tell(Sighting(told.stream, told.seq, told.text, visible_to) for told in spoken.envelopes)

    def _ring_token(self, call: Call, leg: Leg, ring: Ring) -> str | None:
        """The action token of a ring; the key is known here, because the device's own token was checked with it."""
        key = self.book.known_signer(call.app_id)
        return ring_token(key, call, leg, ring, self.clock(), leg.ring_deadline) if key and leg.ring_deadline else None

    def _webhook_sender(self) -> WebhookSender:
        private = self.settings.allow_private_webhooks
        guard = Guard(SystemResolver(), allow_private=private)
        poster = Poster(guard, PostConfig(allow_private=private), clock=self.clock.utc)
        outcomes = self.metrics.deliveries
        config = WebhooksConfig(base_url=self.settings.public_url or "")
        return WebhookSender(self.database, poster, config, lambda outcome: outcomes.labels(outcome).inc())

    def _alert_parts(self) -> AlertParts:
        settings, moved = self.settings, self.presence.mark
        return AlertParts(settings, self.database, self.book, self.clock, self.vault, self.keys, self.counting, moved)

    def _server_config(self) -> uvicorn.Config:
        kept = self.settings.retention()
        deps = Deps(
            database=self.database,
            switchboard=self.switchboard,
            book=self.book,
            gate=self.gate,
            limits=Limits(self.settings.limits(), self.clocks.steady),
            clock=self.clock,
            config=ApiConfig(
                self.settings.public_url,
                allow_private_webhooks=self.settings.allow_private_webhooks,
                cors_origins=self.settings.cors_origins,
                memory=Memory(kept.events, kept.deliveries),
            ),
            ice=self.settings.ice(),
            dismiss=Farewell(self.database, self.hub, self.relay).say,
            bell=self.bell,
            vault=self.vault,
            regranted=self.keys.forget,
            metrics=self.metrics.page,
            ready=self.is_ready,
            moved=self.presence.mark,
            owed=self.webhooks.look_soon,
            ask=self.media.desk.ask,
            signal=self.media.desk.signal,
        )
        if Role.API in self.settings.roles:
            api = build_api(deps)
            api.router.routes.append(ws_route(self._socket_deps(deps)))
        else:
            api = build_api(deps, (health.routes,))
        return uvicorn.Config(
            Timing(api, self.metrics.http, self.clocks.fine),
            http=HttpProtocol,
            ws=SocketProtocol,
            ws_max_size=FRAME_LIMIT,
            ws_ping_interval=HEARTBEAT_S,
            ws_ping_timeout=HEARTBEAT_S,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=max(1, round(self.settings.shutdown_s)),
        )

    def _socket_deps(self, deps: Deps) -> SocketDeps:
        return SocketDeps(deps, self.hub, self.relay, self.media.desk, self.attendance, self.watchers)

    async def start(self, listener: socket.socket) -> str:
        """Begin to serve on a bound socket; returns the base URL once `/readyz` is 200."""
        await self.clock.run_once()
        await self.attendance.open()
        self.alerts.base_url = self.settings.public_url or address_of(listener)
        self._start_tasks()
        if self.settings.media == "local":
            await self.media.start(self.supervisor, self.switchboard)
        self._serving = asyncio.create_task(self.server.serve(sockets=[listener]), name="server")
        listening = asyncio.create_task(self.server.listening.wait())
        await asyncio.wait({listening, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            listening.cancel()
            await self._serving  # it ended before it began: with the reason
        return address_of(listener)

    def _start_tasks(self) -> None:
        every, keep = self.metronome.every, self.supervisor.start
        every(self.settings.lease_renew_s, "leases", self.attendance.run_once)
        every(CLOCK_S, "clock", self.clock.run_once)
        keep("bus.listen", self.bus.listen)
        keep("bus.poll", self.bus.poll)
        keep("relay", self.relay.run)
        keep("catch-up", CatchUp(self.database, self.hub).run)
        keep("sightings", self.sightings.run)
        # Whoever commits a turn lets the robots in it act, and tells whose presence it moved.
        keep("robots", partial(self.robots.run, self.switchboard))
        keep("presence", partial(self.presence.run, self.switchboard))
        if self.embedded:
            every(REVIVE_S, "embedded PostgreSQL", partial(self._look_after, self.embedded))
        if Role.DISPATCH in self.settings.roles:
            keep("webhooks", self.webhooks.run)
            keep("alerts", partial(self.alerts.sender.run, self.switchboard))
            keep("rules", self.alerts.rules.run)
        if Role.TIMERS in self.settings.roles:
            keep("deadlines", self.deadlines.run)
            retention = Retention(self.database, self.settings.retention())
            every(RETENTION_S, "retention", retention.run_once, jitter_s=RETENTION_S / 10)
            every(ORPHANS_S, "orphans", Orphans(self.database, self.switchboard).run_once, jitter_s=ORPHANS_S / 10)
            every(GAUGE_S, "live calls", self._count_live)
        self.metronome.start()

    async def _look_after(self, embedded: EmbeddedPostgres) -> None:
        if await asyncio.to_thread(embedded.revive):
            self.log.warning("the embedded PostgreSQL had died and was started again")

    async def _count_live(self) -> None:
        async with self.database.hot() as driver:
            self.metrics.calls_live.set(await live_calls(driver))

    async def is_ready(self) -> bool:
        """Whether requests should be sent here."""
        if self._stopping:
            return False
        try:
            return await self.database.answers()
        except StoreUnavailableError:
            return False

    async def ended(self) -> None:
        """Wait until the server ends by itself, which it does not while all is well."""
        if self._serving:
            await asyncio.shield(self._serving)

    async def stop(self) -> None:
        """Take no more, finish what is under way, let everything go."""
        self._stopping = True
        with contextlib.suppress(StoreUnavailableError):
            await self.attendance.close()  # all its sockets at once, before they close one by one
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self.presence.run_once(self.switchboard)
        for session in self.hub.sessions():
            session.close(GOING_AWAY, "the service is stopping; come back")
        self.bell.close()
        self.server.should_exit = True  # not before: the server would close the sockets with a code of its own
        if self._serving:
            await self._serving
        await self.metronome.stop()
        await self.supervisor.stop()
        await self.media.close()
        await self.database.close()


def ring_token(key: SigningKey, call: Call, leg: Leg, ring: Ring, now: float, until: datetime) -> str:
    """The action token of a ring, signed with a key of its app and good until a grace after `until`."""
    claims = RingClaims(ring.id, call.id, leg.user_id, ring.device_id)
    return mint_ring(TokenKey(key.kid, key.app.id, key.secret), claims, now=now, ring_deadline=until.timestamp())


def address_of(listener: socket.socket) -> str:
    """The base URL of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
