"""Many live calls at once: one real call, made by the service, copied row by row with new ids, users and deadlines."""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

BATCH = 20_000


@dataclass(frozen=True)
class Template:
    """A call as the service keeps it."""

    call_id: str
    app_id: str
    version: int
    state: str
    deadline_at: datetime | None
    body: str
    users: tuple


def stamp(moment):
    """A time as the stored text of a call has it: RFC 3339 in UTC, microseconds when there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def renew(template, call_id, tag, deadline):
    """The template's text for another call id, with users of their own and another deadline."""
    body = template.body.replace(template.call_id, call_id)
    for user in template.users:
        body = body.replace(f'"{user}"', f'"{user}-{tag}"')
    if template.deadline_at is not None:
        body = body.replace(stamp(template.deadline_at), stamp(deadline))
    return body


def take(postgres, database, call_id, users):
    """Read a call that the service made. RuntimeError when its text is not what `renew` expects."""
    sql = "SELECT app_id, version, state, deadline_at, body FROM calls WHERE id = $1"
    (row,) = postgres.rows(sql, uuid.UUID(call_id), database=database)
    template = Template(call_id, row["app_id"], row["version"], row["state"], row["deadline_at"], row["body"], users)
    texts = [call_id, *(f'"{user}"' for user in users)]
    texts += [stamp(template.deadline_at)] if template.deadline_at else []
    if absent := [text for text in texts if text not in template.body]:
        raise RuntimeError(f"a stored call does not contain {absent}: the copies would not be calls")
    return template


def multiply(postgres, database, template, deadlines, tag, *, settle=True):
    """Write one copy for each deadline (aware datetimes); gives the new ids in their order."""
    ids = [uuid.UUID(int=(0x0190 << 112) | (7 << 76) | (2 << 62) | uuid.uuid4().int >> 68) for _ in deadlines]

    async def write():
        connection = await asyncpg.connect(postgres.url(database))
        try:
            for start in range(0, len(ids), BATCH):
                chunk = list(enumerate(ids[start : start + BATCH], start))
                await copy_chunk(connection, template, chunk, deadlines, tag)
        finally:
            await connection.close()

    asyncio.run(write())
    if settle:
        postgres.settle(database)
    return ids


async def copy_chunk(connection, template, chunk, deadlines, tag):
    calls, slots, users = [], [], []
    for number, call_id in chunk:
        name, deadline = f"{tag}{number}", deadlines[number]
        body = renew(template, str(call_id), name, deadline)
        calls.append((call_id, template.app_id, template.version, template.state, deadline, None, body))
        for user in template.users:
            slots.append((template.app_id, f"{user}-{name}", 0, call_id))
            users.append((template.app_id, f"{user}-{name}", call_id))
    for table, columns, records in (
        ("calls", ("id", "app_id", "version", "state", "deadline_at", "ended_at", "body"), calls),
        ("engagements", ("app_id", "user_id", "slot", "call_id"), slots),
        ("call_users", ("app_id", "user_id", "call_id"), users),
    ):
        await connection.copy_records_to_table(table, columns=columns, records=records)


def ringing_call(service, app):
    """Let the service make one ringing call of two users; gives its id and the users."""
    users = ("template-caller", "template-callee")
    service.ask("PUT", f"/v1/users/{users[1]}/devices/phone", {"platform": "web"}, app.key)
    wish = {"initiator": users[0], "participants": [users[1]], "ring_timeout_s": 180}
    call_id = service.ask("POST", "/v1/calls", wish, app.key)["call"]["id"]
    service.ask("POST", f"/v1/calls/{call_id}/ack", {"device_id": "phone"}, app.token(users[1]))
    return call_id, users


def hang_up(service, app, call_id):
    service.ask("POST", f"/v1/calls/{call_id}/end", {}, app.key)
