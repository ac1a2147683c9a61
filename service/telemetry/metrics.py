"""Prometheus metrics of one process. Names are stable: dashboards and alerts are built on them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

RING_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
LATE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, 60, 3600)
START_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
HTTP_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
DEATHS = ("ended", "silent", "memory", "stalled", "channel")
ROOM_OUTCOMES = ("closed", "lost", "failed")


class Metrics:
    """Everything that is counted. Constructed by the composing process and handed to whoever counts."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.calls_created = Counter("hookswitch_calls_created", "Calls dialled", registry=registry)
        self.calls_ended = Counter("hookswitch_calls_ended", "Calls ended", ["reason"], registry=registry)
        self.calls_live = Gauge(
            "hookswitch_calls_live", "Calls not ended, of all replicas, counted every few seconds", registry=registry
        )
        self.ring_latency = Histogram(
            "hookswitch_ring_seconds",
            "From the invitation to the first acknowledgement of a device",
            buckets=RING_BUCKETS,
            registry=registry,
        )
        self._of_alerts(registry)
        self.commands = Counter(
            "hookswitch_commands", "Commands to calls, by outcome code", ["command", "outcome"], registry=registry
        )
        self.timer_lateness = Histogram(
            "hookswitch_timer_late_seconds",
            "How late a deadline was settled by the sweep",
            buckets=LATE_BUCKETS,
            registry=registry,
        )
        self.deliveries = Counter(
            "hookswitch_webhook_deliveries", "Attempts to deliver to webhooks", ["outcome"], registry=registry
        )
        self.sockets = Gauge("hookswitch_sockets_open", "Sockets connected to this process", registry=registry)
        self._of_media(registry)
        self.database_connections = Gauge(
            "hookswitch_database_connections", "Connections of this process, by use", ["state"], registry=registry
        )
        self.http = Histogram(
            "hookswitch_http_seconds",
            "HTTP requests, by route and status class",
            ["method", "route", "status"],
            buckets=HTTP_BUCKETS,
            registry=registry,
        )
        self.task_restarts = Counter(
            "hookswitch_task_restarts",
            "Background tasks that failed and were started again",
            ["task"],
            registry=registry,
        )

    def _of_alerts(self, registry: CollectorRegistry) -> None:
        self.device_ring = Histogram(
            "hookswitch_device_ring_seconds",
            "From the invitation until a device's screen showed the call, by what woke it (socket, or its provider)",
            ["platform", "via"],
            buckets=RING_BUCKETS,
            registry=registry,
        )
        self.device_rings = Counter(
            "hookswitch_device_rings",
            "Alerts of devices that are over: answered, shown, woken, silent (never acknowledged), failed, unsent",
            ["platform", "via", "outcome"],
            registry=registry,
        )
        self.alerts = Counter(
            "hookswitch_alerts", "Tries to push, mail or message", ["channel", "kind", "outcome"], registry=registry
        )
        self.alert_errors = Counter(
            "hookswitch_alert_errors",
            "What providers said instead of taking it",
            ["channel", "reason"],
            registry=registry,
        )
        self.provider_latency = Histogram(
            "hookswitch_provider_seconds",
            "How long providers took to answer",
            ["channel"],
            buckets=RING_BUCKETS,
            registry=registry,
        )

    def _of_media(self, registry: CollectorRegistry) -> None:
        self.media_workers = Gauge("hookswitch_media_workers", "Media workers of this process", registry=registry)
        self.media_rooms = Gauge(
            "hookswitch_media_rooms", "Calls that media workers of this process carry", registry=registry
        )
        self.media_worker_start = Histogram(
            "hookswitch_media_worker_start_seconds",
            "From the wish for a media worker until it can take a call",
            buckets=START_BUCKETS,
            registry=registry,
        )
        self.media_worker_deaths = Counter(
            "hookswitch_media_worker_deaths", "Media workers lost, by how", ["death"], registry=registry
        )
        for death in DEATHS:
            self.media_worker_deaths.labels(death)
        self.media_rooms_ended = Counter(
            "hookswitch_media_rooms_ended",
            "Calls that media workers let go in order (closed), lost, or could not be had for (failed)",
            ["outcome"],
            registry=registry,
        )
        for outcome in ROOM_OUTCOMES:
            self.media_rooms_ended.labels(outcome)
        self.media_withheld = Gauge(
            "hookswitch_media_withheld",
            "Pictures that viewers do not get now, for want of bandwidth",
            registry=registry,
        )
        self.media_resent = Counter(
            "hookswitch_media_resent",
            "Packets that media workers sent again: lost ones, and old ones to find out what a path carries",
            registry=registry,
        )
        self.calls_moved = Counter(
            "hookswitch_calls_moved", "Calls that grew and moved to a media worker", registry=registry
        )

    def watch_pool(self, read: Callable[[], tuple[int, int]]) -> None:
        """`read` answers (used, idle) connections whenever somebody scrapes."""
        self.database_connections.labels("used").set_function(lambda: read()[0])
        self.database_connections.labels("idle").set_function(lambda: read()[1])

    def page(self) -> bytes:
        """What `GET /metrics` answers, in the text form that `content_type` names."""
        return generate_latest(self.registry)
