import io
import json
import logging

import pytest
import structlog

from service.telemetry.logs import LogConfig, logger, set_up_logs


@pytest.fixture
def lines():
    """Log into a buffer; everything is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    out = io.StringIO()
    set_up_logs(LogConfig(format="json"), out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_a_line_is_json_and_says_who_when_and_what(lines):
    with structlog.contextvars.bound_contextvars(app_id="app_1", call_id="c"):
        logger("dispatch").info("delivered", status=200)
    (line,) = lines()
    assert line["event"] == "delivered"
    assert line["logger"] == "hookswitch.dispatch"
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")
    assert (line["app_id"], line["call_id"], line["status"]) == ("app_1", "c", 200)


def test_what_libraries_log_goes_the_same_way(lines):
    logging.getLogger("uvicorn.error").warning("away: %s", "now")
    (line,) = lines()
    assert line["event"] == "away: now"


@pytest.mark.parametrize(
    "secret",
    [
        "hsk_0123456789abcdefghij",
        "whsec_MDEyMzQ1Njc4OWFiY2RlZg==",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
    ],
)
def test_no_secret_leaves_whoever_wrote_it(lines, secret):
    logger("api").info(f"got {secret}", detail=f"by {secret}", token=secret)
    logging.getLogger("library").warning("raw %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        logger("api").exception("failed")
    assert len(lines()) == 3
    assert secret not in json.dumps(lines())


def test_the_password_of_an_address_is_hidden(lines):
    logger("app").info("database", address="postgresql://me:hunter2@db:5432/x")
    (line,) = lines()
    assert line["address"] == "postgresql://[hidden]@db:5432/x"


def test_debug_is_silent_by_default(lines):
    logger("api").debug("detail")
    assert lines() == []


def test_a_stream_that_is_gone_costs_the_line_and_nothing_else(lines):
    closed = io.StringIO()
    set_up_logs(LogConfig(format="json"), closed)
    closed.close()
    logger("api").error("nobody reads this")


def test_for_a_person_it_is_a_line_to_read(lines):
    out = io.StringIO()
    set_up_logs(LogConfig(format="console"), out)
    logger("calls").warning("call wants another media worker", call_id="c")
    assert "call wants another media worker" in out.getvalue()
    assert "call_id=c" in out.getvalue()
