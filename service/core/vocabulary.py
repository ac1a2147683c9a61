"""The closed enumerations of the service, spelled as they go over the wire."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class CallState(StrEnum):
    """`dialing → ringing → connecting → active → ended`; never backwards."""

    DIALING = "dialing"
    RINGING = "ringing"
    CONNECTING = "connecting"
    ACTIVE = "active"
    ENDED = "ended"


class LegState(StrEnum):
    """One participant's part in a call; the second block is terminal."""

    INVITED = "invited"
    RINGING = "ringing"
    ANSWERED = "answered"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"

    DECLINED = "declined"
    BUSY = "busy"
    MISSED = "missed"
    UNREACHABLE = "unreachable"
    CANCELED = "canceled"
    LEFT = "left"
    REMOVED = "removed"
    FAILED = "failed"
    NOT_SUPPORTED = "not_supported"
    REPLACED = "replaced"


class RingState(StrEnum):
    """One device's alert within one leg attempt; the last three are terminal."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    ALERTING = "alerting"
    SILENCED = "silenced"
    ANSWERED = "answered"
    FAILED = "failed"
    STOPPED = "stopped"


class StopReason(StrEnum):
    """Why a device's alert stopped."""

    ANSWERED_HERE = "answered_here"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    DECLINED_HERE = "declined_here"
    DECLINED_ELSEWHERE = "declined_elsewhere"
    CANCELED = "canceled"
    TIMED_OUT = "timed_out"
    EXPIRED_ON_ARRIVAL = "expired_on_arrival"
    NOT_SUPPORTED = "not_supported"
    ERROR = "error"


class EndReason(StrEnum):
    """Why a call or a leg ended."""

    HANGUP = "hangup"
    CANCELED = "canceled"
    DECLINED = "declined"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    NOT_SUPPORTED = "not_supported"
    FORBIDDEN = "forbidden"
    MERGED = "merged"
    REPLACED = "replaced"
    LAST_LEFT = "last_left"
    CONNECTION_LOST = "connection_lost"
    CONNECT_TIMEOUT = "connect_timeout"
    MEDIA_FAILED = "media_failed"
    CALLER_LOST = "caller_lost"
    MAX_DURATION = "max_duration"
    REMOVED = "removed"
    TERMINATED = "terminated"
    ERROR = "error"


class DeclineReason(StrEnum):
    """What a callee may say when declining; `no_answer` counts as missed."""

    NONE = "none"
    ERROR = "error"
    DO_NOT_DISTURB = "do_not_disturb"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    NOT_SUPPORTED = "not_supported"


class CallType(StrEnum):
    """The media of a call, in rising order; a merged glare takes the lower of the two (scenario 1)."""

    AUDIO_ONLY = "audio_only"
    AUDIO_UPGRADABLE = "audio_upgradable"
    AUDIO_VIDEO = "audio_video"


class Topology(StrEnum):
    """Who carries the media: the clients themselves, or a worker of the service."""

    RELAYED = "relayed"
    ROUTED = "routed"


class Role(StrEnum):
    """What a participant may do (O-07)."""

    MODERATOR = "moderator"
    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"


class ActorType(StrEnum):
    """Who did something."""

    USER = "user"
    DEVICE = "device"
    SERVER = "server"
    API = "api"
    MEDIA = "media"


class Platform(StrEnum):
    """What kind of device it is."""

    IOS = "ios"
    ANDROID = "android"
    WEB = "web"
    DESKTOP = "desktop"
    TV = "tv"
    DESK_PHONE = "desk_phone"


class Provider(StrEnum):
    """Who wakes a device."""

    APNS = "apns"
    FCM = "fcm"
    WEBPUSH = "webpush"


class Channel(StrEnum):
    """The ways in which something is told outside the sockets: three that wake devices, two that reach people."""

    APNS = "apns"
    FCM = "fcm"
    WEBPUSH = "webpush"
    EMAIL = "email"
    MESSAGE = "message"


class AlertKind(StrEnum):
    """What an alert is for. `silence` stops the noise of a ring that goes on.

    `fallback` is a ring by e-mail or message, `rule` what a rule of the app tells.
    """

    RING = "ring"
    SILENCE = "silence"
    STOP = "stop"
    MISSED = "missed"
    NOTIFY = "notify"
    FALLBACK = "fallback"
    RULE = "rule"


class EventType(StrEnum):
    """What a call tells; presence and service events are named where they are made."""

    CALL_CREATED = "call.created"
    CALL_RINGING = "call.ringing"
    CALL_ANSWERED = "call.answered"
    CALL_ACTIVE = "call.active"
    CALL_UPDATED = "call.updated"
    CALL_ENDED = "call.ended"
    CALL_MISSED = "call.missed"
    INVITED = "participant.invited"
    RINGING = "participant.ringing"
    ANSWERED = "participant.answered"
    DECLINED = "participant.declined"
    BUSY = "participant.busy"
    MISSED = "participant.missed"
    UNREACHABLE = "participant.unreachable"
    JOINED = "participant.joined"
    RECONNECTING = "participant.reconnecting"
    RECONNECTED = "participant.reconnected"
    LEFT = "participant.left"
    REMOVED = "participant.removed"
    MEDIA_CHANGED = "participant.media_changed"
    UPGRADE_REQUESTED = "participant.upgrade_requested"
    UPGRADED = "participant.upgraded"
    NOTIFICATION_SENT = "notification.sent"
    NOTIFICATION_DELIVERED = "notification.delivered"
    NOTIFICATION_FAILED = "notification.failed"
    NOTIFICATION_FALLBACK = "notification.fallback"
    SIGNAL_SENT = "signal.sent"
    STREAM_CREATED = "stream.created"
    STREAM_CHANGED = "stream.changed"
    STREAM_DESTROYED = "stream.destroyed"


PENDING_LEG = frozenset({LegState.INVITED, LegState.RINGING})
JOINED_LEG = frozenset({LegState.ANSWERED, LegState.CONNECTED, LegState.RECONNECTING})
LIVE_LEG = PENDING_LEG | JOINED_LEG
OPEN_RING = frozenset(
    {RingState.QUEUED, RingState.SENT, RingState.DELIVERED, RingState.ALERTING, RingState.SILENCED},
)
"""Alerts that still need their one stop or answer (invariant 5)."""
UNTOLD_RING = frozenset({RingState.QUEUED, RingState.FAILED})
"""Alerts that have not reached the device on any way."""
UNWOKEN_RING = UNTOLD_RING | {RingState.SENT}
"""Alerts whose devices have said nothing yet, and may be told again."""
TAKEN_RING = OPEN_RING - UNTOLD_RING
"""Open alerts that the socket or the push provider took, at least."""
PROVEN_RING = frozenset({RingState.DELIVERED, RingState.ALERTING, RingState.SILENCED})
"""Open alerts that the device has acknowledged: it is not woken again."""
SOUNDING_RING = TAKEN_RING - {RingState.SILENCED}
"""Alerts that a device on a socket is told of."""
UNACKNOWLEDGED_RING = frozenset({RingState.QUEUED, RingState.SENT, RingState.DELIVERED})
"""Open alerts whose screen does not show the call yet, as far as is known."""
UNPROVEN_RING = UNACKNOWLEDGED_RING | UNTOLD_RING
"""No acknowledgement yet. One that comes in spite of a provider's error proves the error wrong."""

TYPE_RANK: Mapping[CallType, int] = MappingProxyType(
    {CallType.AUDIO_ONLY: 0, CallType.AUDIO_UPGRADABLE: 1, CallType.AUDIO_VIDEO: 2},
)

SIP_Q850: Mapping[EndReason, tuple[int | None, int | None]] = MappingProxyType(
    {
        EndReason.HANGUP: (None, 16),
        EndReason.CANCELED: (487, None),
        EndReason.DECLINED: (603, 21),
        EndReason.BUSY: (486, 17),
        EndReason.NO_ANSWER: (480, 19),
        EndReason.UNREACHABLE: (480, 20),
        EndReason.NOT_SUPPORTED: (488, 88),
        EndReason.FORBIDDEN: (403, 21),
        EndReason.MERGED: (None, None),
        EndReason.REPLACED: (None, None),
        EndReason.LAST_LEFT: (None, 16),
        EndReason.CONNECTION_LOST: (None, 41),
        EndReason.CONNECT_TIMEOUT: (504, 41),
        EndReason.MEDIA_FAILED: (503, 41),
        EndReason.CALLER_LOST: (487, None),
        EndReason.MAX_DURATION: (None, 16),
        EndReason.REMOVED: (None, 16),
        EndReason.TERMINATED: (None, 16),
        EndReason.ERROR: (500, 41),
    }
)
"""SIP status and Q.850 cause that a CTI expects for each end; `None` where a plain BYE or nothing fits."""
