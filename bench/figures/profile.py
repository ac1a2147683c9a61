"""Where the time goes in the service while calls are played over the socket."""

import signal
import sys

from bench.hookswitch import Service
from bench.loading import Load
from bench.stacks import lines, parse

TOP = 20


def measure(stage, report):
    folded = stage.folder / "profile.folded"
    sampled = (sys.executable, "-m", "bench.sampled", folded)
    service = Service(stage.folder, stage.postgres.create("profile"), name="profile", command=sampled)
    with stage.running(service):
        service.start()
        app = service.app("profile")
        with Load("socket", service.load(app, stage.sizes.pairs, ringing=True)) as load:
            load.order({"mode": "closed", "seconds": stage.sizes.warm_s})
            service.server.process.send_signal(signal.SIGUSR1)
            load.order({"mode": "closed", "seconds": stage.sizes.profile_s})
    report.profile += lines(parse(folded.read_text(encoding="utf-8")), TOP)
