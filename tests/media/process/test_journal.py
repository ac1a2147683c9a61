"""What a worker's own log lines look like: as the service's, with the call and the worker."""

import json
import logging
import sys

from service.media.worker.journal import Journal


def written(message, **how):
    record = logging.getLogger("hookswitch.media.worker").makeRecord(
        "hookswitch.media.worker", logging.ERROR, __file__, 1, message, (), how.get("fault"), extra=how.get("extra")
    )
    return Journal("w1").format(record)


def test_a_fault_is_one_line_of_json_with_the_call_and_the_worker():
    try:
        raise KeyError("a mistake")
    except KeyError:
        text = written("a room failed", fault=sys.exc_info(), extra={"call_id": "c", "app_id": "a", "epoch": 2})
    assert "\n" not in text
    line = json.loads(text)
    assert (line["event"], line["logger"], line["level"]) == ("a room failed", "hookswitch.media.worker", "error")
    assert (line["call_id"], line["app_id"], line["epoch"], line["worker"]) == ("c", "a", 2, "w1")
    assert line["timestamp"].endswith("Z")
    assert "KeyError" in line["exception"]
    assert "op" not in line


def test_what_libraries_log_is_json_too():
    assert json.loads(written("away"))["event"] == "away"
