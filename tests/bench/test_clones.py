import json
from datetime import UTC, datetime, timedelta

from bench.clones import Template, renew, stamp

CALL = "019aa000-0000-7000-8000-00000000abcd"
AT = datetime(2026, 11, 20, 6, 0, 0, 123456, tzinfo=UTC)


def template(deadline):
    body = {"id": CALL, "initiator": "ann", "legs": [{"user_id": "ann"}, {"user_id": "anna", "until": stamp(AT)}]}
    return Template(CALL, "app", 3, "ringing", deadline, json.dumps(body), ("ann", "anna"))


def test_a_copy_has_another_id_other_users_and_another_deadline():
    later = AT + timedelta(seconds=5)
    copy = json.loads(renew(template(AT), "another-id", "c7", later))
    assert copy["id"] == "another-id"
    assert copy["initiator"] == "ann-c7"
    assert copy["legs"] == [{"user_id": "ann-c7"}, {"user_id": "anna-c7", "until": "2026-11-20T06:00:05.123456Z"}]


def test_a_call_without_a_deadline_keeps_its_times():
    copy = json.loads(renew(template(None), "another-id", "c7", AT + timedelta(days=1)))
    assert copy["legs"][1]["until"] == stamp(AT)
