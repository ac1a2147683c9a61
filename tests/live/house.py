"""A hub with people at it, and a call whose turns are told one by one, in any order."""

from dataclasses import replace
from uuid import UUID, uuid4

from service.live.hub import Hub
from service.live.session import Session, SessionConfig
from service.store.connections import Connection
from service.store.hearing import Heard
from service.wire.feed import Told, envelopes
from tests.core.story import NOON, Story
from tests.fakes.outlet import FakeOutlet


class Tale(Story):
    """A story whose turns come as the switchboard tells them."""

    def __init__(self, *callees, **fields):
        super().__init__(*callees, **fields)
        self.turns = [self._told()]

    def command(self, command, when, engaged=None):
        refusal = super().command(command, when, engaged)
        if self.changed:
            self.turns.append(self._told())
        return refusal

    def _told(self):
        sealed = envelopes(self.call, self.news)
        version = self.call.version
        told = Told(self.call.copy(), tuple(sealed), 1_000 + version)
        self.call.version = version + 1
        return told

    @property
    def last(self):
        return self.turns[-1]

    def heard_since(self, seq=0):
        """The call and its events after `seq`, as read from the database."""
        return self.read(self.call.copy(), self.turns, seq)

    @staticmethod
    def read(call, turns, seq):
        """That state of the call, and what these turns told after `seq`."""
        told = []
        for turn in turns:
            wanted = tuple(envelope for envelope in turn.envelopes if envelope.seq > seq)
            if wanted:
                told.append(replace(turn, call=call, envelopes=wanted))
        return Heard(call, tuple(told))


class House:
    """A hub; `come` lets somebody in and says welcome."""

    def __init__(self):
        self.hub = Hub(lambda: NOON, lambda call, leg, ring: f"token of {ring.device_id}")
        self.asked = []

    def come(self, user, device=None, *, standing=(), welcome=True, app="app", **options):
        connection = Connection(uuid4(), app, user, device or f"{user}-phone", "web", guest=options.pop("guest", False))
        guest = Guest(connection, self.asked, **options)
        self.hub.enter(guest.session)
        if welcome:
            guest.rings = [ring.device_id for _, _, ring in self.hub.open(guest.session, standing)]
            self.hub.release(guest.session)
        return guest

    def tell(self, *turns):
        self.hub.told(turns)

    def wanted(self):
        """The calls that must be read, by their ids."""
        return {str(call_id) for call_id in self.hub.wanted.take(100)}


class Guest:
    """A session with its socket."""

    def __init__(self, connection, asked, config=None, **options):
        self.outlet = FakeOutlet()
        self.restarts = []
        options.setdefault("ring_me", lambda call_id: asked.append((connection.device_id, call_id)))
        options.setdefault("restart_me", lambda call_id, epoch: self.restarts.append(epoch))
        self.session = Session(connection, self.outlet, config or SessionConfig(), **options)

    @property
    def heard(self):
        """Numbers and types of the events so far."""
        return [(f["event"]["data"]["seq"], f["event"]["type"]) for f in self.outlet.sent if f["type"] == "event"]

    @property
    def seqs(self):
        return [seq for seq, _ in self.heard]

    @property
    def alerts(self):
        """Rings and stops so far: device ids and reasons."""
        return [self._alert(frame) for frame in self.outlet.sent if frame["type"] != "event"]

    @staticmethod
    def _alert(frame):
        if frame["type"] == "ring":
            return f"ring {frame['ring']['device_id']}"
        return f"{frame['type']} {frame.get('stop_reason') or frame.get('device_id')}"


def call_ids(*tales):
    return {str(UUID(tale.call.id)) for tale in tales}
