"""Goals 2 and 3: call cycles per second, what one costs, and how soon the callee's device rings; ours beside peers."""

from dataclasses import dataclass, field

from bench.hookswitch import Service
from bench.loading import Load
from bench.peers.ejabberd import Ejabberd
from bench.peers.kamailio import Kamailio
from bench.peers.synapse import Synapse
from bench.report import Goal, Row, figure
from bench.samples import Spread

PEERS = (Ejabberd, Kamailio, Synapse)
EASY_RATE = 20
SOCKET, REST = "socket", "REST"


@dataclass
class Contender:
    """A server with a connected load generator, and what its rounds gave."""

    name: str
    servers: dict
    load: Load
    easy_rate: float
    closed: list = field(default_factory=list)
    easy: list = field(default_factory=list)
    loaded: list = field(default_factory=list)

    def play(self, sizes):
        self.load.run(self.servers, mode="closed", seconds=sizes.warm_s)
        self.closed.append(self.load.run(self.servers, mode="closed", seconds=sizes.closed_s).check(self.name))
        easy = self.load.run(self.servers, mode="offered", rate=self.easy_rate, seconds=sizes.easy_s)
        self.easy.append(easy.check(self.name))

    def play_loaded(self, sizes):
        """Calls at 80 % of what the closed loop of this round reached."""
        rate = 0.8 * self.closed[-1].rate
        measured = self.load.run(self.servers, mode="offered", rate=rate, seconds=sizes.loaded_s)
        self.loaded.append(measured.check(f"{self.name} at 80 %"))

    def rate(self):
        return Spread.of([run.rate for run in self.closed])

    def cpu(self, *servers):
        return Spread.of([run.cpu_ms(*servers) for run in self.closed])

    def ring(self, share, runs=None):
        return Spread.of([run.ring_ms(share) for run in (self.easy if runs is None else runs)])


def measure(stage, report):
    service = Service(stage.folder, stage.postgres.create("cycles"))
    peers = wanted_peers(stage)
    with stage.running(service, *peers):
        service.start()
        for peer in peers:
            peer.start(stage.folder, stage.postgres)
        field_ = contenders(stage, service, peers)
        try:
            compete(stage, field_)
        finally:
            for contender in field_.values():
                contender.load.close()
    report.rows += rows(field_)


def wanted_peers(stage):
    peers = []
    for kind in PEERS if stage.peers else ():
        if missing := kind.missing():
            stage.note(f"{kind.name} is not installed: {missing}")
        else:
            peers.append(kind())
    return peers


def contenders(stage, service, peers):
    """Ours over the socket and over REST, and the peers. `short` leaves out the step "it rings at the callee"."""
    app = service.app("cycles")
    found = {}

    def enter(name, kind, server, configuration, easy_rate):
        stage.say(f"connecting {name}")
        servers = {"server": server.pid, "PostgreSQL": stage.postgres.pid}
        found[name] = Contender(name, servers, Load(kind, configuration), easy_rate)

    for name, kind, ringing in ((SOCKET, "socket", True), (f"{SOCKET} short", "socket", False), (REST, "rest", True)):
        people = service.load(app, stage.sizes.pairs, ringing=ringing, tag=f"{name.replace(' ', '-')}-")
        enter(name, kind, service, people, EASY_RATE)
    for peer in peers:
        for ringing in peer.ringing:
            name = peer.name if ringing is peer.ringing[0] else f"{peer.name} short"
            enter(name, peer.kind, peer, peer.load(stage.sizes.pairs, ringing=ringing), peer.easy_rate)
    return found


def compete(stage, field_):
    for number in range(stage.sizes.rounds):
        for contender in field_.values():
            stage.say(f"round {number + 1}: {contender.name}")
            contender.play(stage.sizes)
            if contender.name == SOCKET:
                contender.play_loaded(stage.sizes)


def rows(field_):
    socket, short, rest = field_[SOCKET], field_[f"{SOCKET} short"], field_[REST]
    missing = Spread.of([])

    def beside(name, figure, *arguments):
        return getattr(field_[name], figure)(*arguments) if name in field_ else missing

    def cost(what, ours, peer, *goals):
        return Row("2", f"CPU per call cycle, {what}", "ms", ours.cpu(), beside(peer, "cpu"), peer, goals, parts(ours))

    def speed(what, ours, peer, *goals):
        return Row("2", f"call cycles, {what}", "/s", ours.rate(), beside(peer, "rate"), peer, goals)

    def ring(what, ours, peer, share, *goals):
        return Row("3", f"dial to ring, {what}", "ms", ours, beside(peer, "ring", share), peer, goals)

    def ours(limit):
        return Goal(limit, against="ours", unit="ms")

    return [
        cost("socket", socket, "ejabberd", Goal(2.0)),
        cost("REST", rest, "ejabberd", Goal(2.0)),
        cost("socket, without the ringing step", short, "ejabberd short", Goal(2.0)),
        cost("socket, beside Kamailio", socket, "Kamailio"),
        cost("socket, beside Synapse", short, "Synapse", Goal(1 / 30)),
        speed("socket", socket, "ejabberd", Goal(0.5, least=True)),
        speed("REST", rest, "ejabberd", Goal(0.5, least=True)),
        speed("socket, without the ringing step", short, "ejabberd short", Goal(0.5, least=True)),
        speed("socket, beside Kamailio", socket, "Kamailio"),
        ring("p50 at an easy rate", socket.ring(0.5), "ejabberd", 0.5, ours(2)),
        ring("p99 at an easy rate", socket.ring(0.99), "ejabberd", 0.99, ours(6)),
        ring("p50 at an easy rate, beside Synapse", socket.ring(0.5), "Synapse", 0.5, Goal(0.1)),
        ring("p50 at an easy rate, REST", rest.ring(0.5), "Kamailio", 0.5, ours(2)),
        ring("p99 at an easy rate, REST", rest.ring(0.99), "Kamailio", 0.99, ours(6)),
        Row("3", "dial to ring, p50 at 80 % of the measured maximum", "ms", socket.ring(0.5, socket.loaded)),
        Row(
            "3",
            "dial to ring, p99 at 80 % of the measured maximum",
            "ms",
            socket.ring(0.99, socket.loaded),
            goals=(ours(25),),
        ),
    ]


def parts(contender):
    server, database = contender.cpu("server"), contender.cpu("PostgreSQL")
    loader = Spread.of([run.load_cpu_s / run.cycles * 1000 for run in contender.closed])
    return (
        f"{figure(server.middle)} ms service + {figure(database.middle)} ms PostgreSQL"
        f" (and {figure(loader.middle)} ms of the load generator, not counted)"
    )
