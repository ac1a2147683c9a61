"""Goal 9: what a call costs must not depend on how many others are alive."""

from datetime import timedelta

from bench.clones import multiply, ringing_call, take
from bench.hookswitch import Service
from bench.loading import Load
from bench.report import Goal, Row, figure
from bench.samples import Spread


def measure(stage, report):
    populations = stage.sizes.live
    services = {
        live: Service(stage.folder, stage.postgres.create(f"live{live}"), name=f"live{live}") for live in populations
    }
    loads, costs = {}, {live: [] for live in populations}
    with stage.running(*services.values()):
        try:
            for live, service in services.items():
                loads[live] = populate(stage, service, live)
            for number in range(stage.sizes.rounds):
                for live, service in services.items():
                    stage.say(f"round {number + 1}: calls beside {live} live ones")
                    costs[live].append(cost(stage, service, loads[live]))
        finally:
            for load in loads.values():
                load.close()
    spreads = {live: Spread.of(values) for live, values in costs.items()}
    few = populations[0]
    for live in populations[1:]:
        what = f"CPU per call cycle beside {live:,} live calls"
        goal = Goal(1.3)
        report.rows.append(Row("9", what, "ms", spreads[live], spreads[few], f"beside {figure(few)}", (goal,)))


def populate(stage, service, live):
    service.start()
    app = service.app("growth")
    call_id, users = ringing_call(service, app)
    database = f"live{live}"
    template = take(stage.postgres, database, call_id, users)
    far = stage.postgres.value("SELECT clock_timestamp()", database=database) + timedelta(hours=1)
    multiply(stage.postgres, database, template, [far] * live, "g")
    load = Load("socket", service.load(app, stage.sizes.pairs, ringing=True))
    load.order({"mode": "closed", "seconds": stage.sizes.warm_s})
    return load


def cost(stage, service, load):
    servers = {"service": service.pid, "postgres": stage.postgres.pid}
    return load.run(servers, mode="closed", seconds=stage.sizes.closed_s).check("growth").cpu_ms()
