"""What every test run shares: the Hypothesis profiles and the switch that refuses skipped tests."""

import os

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.serving"]

BROWSER = "tests/media/browser/"
# What takes longest comes first, so that no process waits at the end for another one: the browsers play in real time.
LONG = (BROWSER, "tests/stories/", "tests/outside/", "tests/media/", "tests/bench/", "tests/contracts/", "tests/house/")
NO_SKIPS = os.environ.get("HOOKSWITCH_NO_SKIPS", "") not in {"", "0"}

settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
# One of a thousand runs: few examples, no database of them, always the same.
settings.register_profile("mutants", settings.get_profile("ci"), max_examples=20, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if NO_SKIPS else "dev"))


def refuse_skip(report):
    """Turn a skipped report (an expected failure is one, too) into a failed one."""
    if NO_SKIPS and report.skipped:
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which this run refuses: {getattr(report, 'wasxfail', '') or reason}"
        vars(report).pop("wasxfail", None)


def pytest_collection_modifyitems(items):
    def place(item):
        return next((at for at, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A module's tests go to one process, and those of the browser all to the same: two browsers would be slow ones."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - not there when tests run in one process

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            scope = super()._split_scope(nodeid)
            return BROWSER if scope.startswith(BROWSER) else scope

    if config.getvalue("dist") != "loadscope":
        return None
    config.option.loadscopereorder = False  # by length and not by the number of tests
    return Scheduling(config, log)
