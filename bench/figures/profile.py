"""Where the time goes in the service while calls are played over the socket."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.hookswitch import Service
from bench.loading import Load
from bench.stacks import lines, parse

TOP = 20
RATE_HZ = 250


def measure(stage, report):
    profiler = Path(sys.executable).parent / "py-spy"
    profiler = str(profiler) if profiler.exists() else shutil.which("py-spy")
    if profiler is None:
        stage.note("py-spy is not installed: make setup")
        return
    service = Service(stage.folder, stage.postgres.create("profile"), name="profile")
    with stage.running(service):
        service.start()
        app = service.app("profile")
        with Load("socket", service.load(app, stage.sizes.pairs, ringing=True)) as load:
            load.order({"mode": "closed", "seconds": stage.sizes.warm_s})
            folded = stage.folder / "profile.folded"
            command = [profiler, "record", "--pid", service.pid, "--duration", round(stage.sizes.profile_s)]
            command += ["--rate", RATE_HZ, "--format", "raw", "--output", folded, "--nonblocking"]
            with (stage.folder / "py-spy.log").open("wb") as log:
                sampler = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
                load.order({"mode": "closed", "seconds": stage.sizes.profile_s + 1})
                sampler.wait(30)
    if sampler.returncode or not folded.exists():
        text = (stage.folder / "py-spy.log").read_text(encoding="utf-8", errors="replace").strip()
        stage.note(f"py-spy could not look into the service: {text.splitlines()[-1] if text else sampler.returncode}")
        return
    report.profile += lines(parse(folded.read_text(encoding="utf-8")), TOP)
