"""A socket without a network: what the client says is handed in, what it hears is kept."""

import orjson

from tests.fakes.outlet import FakeOutlet


class FakeWire(FakeOutlet):
    """Stands where a `SocketProtocol` would."""

    disconnected = False

    def __init__(self):
        super().__init__()
        self.reader = None

    def attach(self, reader):
        self.reader = reader
        return True

    def say(self, kind, **fields):
        """The client sends a frame."""
        self.reader.received(orjson.dumps({"type": kind, **fields}), binary=False)

    def heard(self, kind, **facts):
        """What came of that type and with these members."""
        return [frame for frame in self.sent if frame["type"] == kind and facts.items() <= frame.items()]
