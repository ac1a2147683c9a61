"""Rules at work: an event comes in, people are told in the words of the rule, once."""

import asyncio
from uuid import UUID

import orjson
import pytest

from service.core.calls import SERVER
from service.core.vocabulary import Channel
from service.dispatch.presence import PresenceTeller
from service.dispatch.push.channel import Outcome, Receipt
from service.dispatch.rules import RuleExpander, RulesConfig
from service.store import rules as store
from service.store.apps import AppBook
from service.store.database import StoreUnavailableError
from service.switchboard.devices import register
from service.wire.devices import DeviceBody
from service.wire.rules import RuleBody
from tests.dispatch.post_office import PostOffice
from tests.switchboard.desk import APP

MISSED = {
    "types": ["call.missed"],
    "receivers": {"parts": ["user"]},
    "channel": "email",
    "template": {"title": "{user.name} missed a call from {caller.name}", "body": "It ended: {call.end_reason}"},
}


class RuledOffice(PostOffice):
    """The same with rules, and those who work them."""

    def __init__(self, database):
        super().__init__(database)
        self.woken = []
        self.expander = RuleExpander(self.wire, self.woken.append)
        self.desk.listeners += (self.expander.wake,)

    async def rule(self, **how):
        async with self.database.begin() as connection:
            return await store.create_rule(connection, APP, RuleBody.model_validate({**MISSED, **how}))

    async def tell(self):
        """Let rules and then the sender do what is due; returns how many seeds there were."""
        seeds = await self.expander.run_once()
        await self.send()
        return seeds

    async def missed(self, caller="ann", callee="ben"):
        call = (await self.desk.dial(caller, callee)).call
        await self.desk.cancel(call.id, caller)
        return call

    @property
    def mails(self):
        return [(one.address.email, one.title, one.body) for one in self.ways[Channel.EMAIL].sent]

    async def count(self):
        async with self.database.hot() as driver:
            return await driver.fetchval("SELECT count(*) FROM alerts")


@pytest.fixture
async def office(database):
    office = await RuledOffice(database).open()
    await office.person("ann", name="Ann", email="ann@example.com", phone="+49 1")
    await office.person("ben", name="Ben", email="ben@example.com", phone="+49 2")
    return office


async def test_b_18_on_this_event_for_these_users_tell_these_receivers_by_this_channel_with_this_template(office):
    rule = await office.rule()
    call = await office.missed()
    assert await office.tell() == 1
    assert office.mails == [("ben@example.com", "Ben missed a call from Ann", "It ended: canceled")]
    (notice,) = office.ways[Channel.EMAIL].sent
    assert notice.payload["type"] == "call.notify"
    assert notice.payload["call_id"] == call.id
    assert notice.payload["rule_id"] == rule.id
    assert notice.payload["caller"] == {"id": "ann", "name": "Ann", "avatar_url": None}
    assert notice.payload["event"]["type"] == "call.missed"
    assert {"v", "sent_at", "server_time", "expires_at"} <= notice.payload.keys()
    assert await office.rows(call.id) == [("rule", "email", "sent", None, 1)]


async def test_the_same_event_tells_the_same_receiver_once(office):
    rule = await office.rule()
    call = await office.missed()
    await office.tell()
    async with office.database.hot() as driver:
        row = await driver.fetchrow("SELECT stream, seq FROM events WHERE type = 'call.missed'")
        await driver.execute(
            "INSERT INTO alerts (id, app_id, call_id, kind, user_id, channel, lane, rule_id, stream, seq,"
            " next_attempt_at, until) VALUES (gen_random_uuid(), $1, $2, 'rule', '', 'rule', 'rule:' || $1, $3, $4, $5,"
            " now(), now() + interval '1 hour')",
            APP,
            UUID(call.id),
            UUID(rule.id),
            row["stream"],
            row["seq"],
        )
    assert await office.tell() == 1
    assert len(office.mails) == 1
    assert await office.count() == 1


async def test_two_processes_at_the_same_seeds_tell_once(office):
    await office.rule(types=["*"], receivers={"parts": ["participants"]})
    for callee in ("ben", "cleo", "dora"):
        await office.missed("ann", callee)
    others = [RuleExpander(office.wire, office.woken.append, RulesConfig(most=2)) for _ in range(3)]
    await asyncio.gather(*(other.run_once() for other in others))
    await office.expander.run_once()
    async with office.database.hot() as driver:
        told = await driver.fetch("SELECT stream, seq, user_id, count(*) FROM alerts GROUP BY 1, 2, 3")
        events = await driver.fetchval("SELECT count(*) FROM events")
    assert {row["count"] for row in told} == {1}
    assert len(told) == 2 * events


async def test_by_push_every_thing_in_the_user_s_hand_is_told(office):
    await office.device("ben", "phone")
    await office.device("ben", "browser", "apns", hardware_id="slab")
    await office.device("ben", "app", "apns", hardware_id="slab")
    await office.rule(channel="push", template={"title": "{caller.name} called", "body": "ä" * 900})
    call = (await office.desk.dial("ann", "ben")).call
    await office.desk.cancel(call.id, "ann")
    await office.tell()
    sent = [*office.ways[Channel.FCM].sent, *office.ways[Channel.APNS].sent]
    ruled = [notice for notice in sent if notice.kind == "rule"]
    assert sorted(notice.address.push["token"] for notice in ruled) == ["app", "phone"]
    assert {notice.title for notice in ruled} == {"Ann called"}
    assert all(len(orjson.dumps([one.title, one.body, dict(one.payload)])) < 3_000 for one in ruled)


async def test_by_message_to_numbers_and_to_users(office):
    await office.rule(channel="message", receivers={"parts": ["user"], "phones": ["+49 9", "+492"]})
    await office.missed()
    await office.tell()
    sent = office.ways[Channel.MESSAGE].sent
    assert sorted((one.address.user_id, one.address.phone) for one in sent) == [("", "+49 9"), ("ben", "+49 2")]


async def test_literal_addresses_need_no_user(office):
    await office.rule(receivers={"emails": ["desk@example.com", "BEN@example.com"], "parts": ["user"]})
    await office.missed()
    await office.tell()
    assert sorted(address for address, _, _ in office.mails) == ["ben@example.com", "desk@example.com"]


async def test_who_has_no_address_leaves_evidence(office):
    await office.rule()
    call = await office.missed("ann", "cleo")
    await office.tell()
    assert await office.rows(call.id) == [("rule", "email", "failed", "no_address", 0)]


async def test_what_waited_for_more_than_a_day_is_told_nobody(office):
    await office.rule()
    call = await office.missed()
    await office.expander.run_once()
    await office.send(24 * 3600 + 60)
    assert office.mails == []
    assert await office.rows(call.id) == [("rule", "email", "dropped", "it came too late", 0)]


async def test_a_rule_that_is_not_meant_leaves_nothing_behind(office):
    await office.rule(users={"ids": ["eve"]})
    await office.rule(conditions={"end_reasons": ["busy"]})
    await office.missed()
    assert await office.tell() == 2
    assert await office.count() == 0


async def test_a_rule_counts_as_it_is_when_it_is_worked(office):
    rule = await office.rule()
    gone = await office.rule(name="gone")
    await office.missed()
    async with office.database.begin() as connection:
        changed = RuleBody.model_validate({**MISSED, "template": {"title": "new words"}})
        await store.put_rule(connection, APP, UUID(rule.id), changed)
        assert await store.delete_rule(connection, APP, UUID(gone.id))
    await office.tell()
    assert [title for _, title, _ in office.mails] == ["new words"]


async def test_rules_that_are_deleted_while_they_are_worked_harm_nobody(office):
    rules = [await office.rule(receivers={"ids": ["ben"]}) for _ in range(5)]
    for _ in range(4):
        await office.missed()

    async def delete(rule):
        async with office.database.begin() as connection:
            assert await store.delete_rule(connection, APP, UUID(rule.id))

    await asyncio.gather(office.expander.run_once(), *(delete(rule) for rule in rules), office.expander.run_once())
    assert await office.count() == 0


async def test_a_rule_that_is_off_is_not_asked(office):
    await office.rule(enabled=False)
    await office.missed()
    assert await office.tell() == 0


async def test_what_rules_send_moves_no_rule(office):
    await office.rule(types=["*"], receivers={"ids": ["ben"]})
    office.ways[Channel.EMAIL].script.extend([Receipt(Outcome.REFUSED, reason="no")] * 2)
    await office.missed()
    assert await office.tell() > 0
    assert await office.tell() == 0


async def test_what_is_told_of_users_reaches_rules_too(office):
    await office.rule(
        types=["device.*"], template={"title": "{user.name}: {device.id} ({device.platform}) {event.type}"}
    )
    await office.rule(types=["presence.changed"])
    await register(office.database, office.desk.board, APP, "ben", "tab", DeviceBody(platform="ios"), SERVER)
    assert await office.tell() == 1
    assert office.mails == [("ben@example.com", "Ben: tab (ios) device.registered", "")]


async def test_presence_reaches_rules(office):
    await office.rule(
        types=["presence.changed"],
        users={"ids": ["ben"]},
        receivers={"ids": ["ann"]},
        template={"title": "{user.name} is {presence.state}"},
    )
    teller = PresenceTeller(office.database, AppBook(office.database, lambda: 0.0))
    await office.desk.online("ben")
    teller.mark(APP, "ben")
    teller.mark(APP, "ann")
    await teller.run_once(office.desk.board)
    await office.tell()
    assert office.mails == [("ann@example.com", "Ben is online", "")]


async def test_an_event_that_has_been_pruned_tells_nothing(office):
    await office.rule()
    await office.missed()
    async with office.database.hot() as driver:
        await driver.execute("DELETE FROM events")
    assert await office.tell() == 1
    assert await office.count() == 0


async def test_one_that_cannot_be_understood_holds_up_no_other(office):
    broken = await office.rule()
    await office.rule()
    async with office.database.hot() as driver:
        await driver.execute("UPDATE rules SET body = '{}' WHERE id = $1", UUID(broken.id))
    await office.missed()
    assert await office.tell() == 2
    assert len(office.mails) == 1


async def test_the_turn_wakes_the_rules_and_they_wake_the_sender(office):
    await office.rule()
    woken = asyncio.Queue()
    expander = RuleExpander(office.wire, woken.put_nowait, RulesConfig(poll_s=3600))
    office.desk.listeners += (expander.wake,)
    task = asyncio.create_task(expander.run())
    try:
        await office.missed()
        async with asyncio.timeout(10):
            assert await woken.get() == ("email:app",)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_lost_when_the_database_goes_away(office):
    await office.rule()
    await office.missed()
    office.wire.cut = True
    with pytest.raises(StoreUnavailableError):
        await office.expander.run_once()
    office.wire.cut = False
    await office.tell()
    assert len(office.mails) == 1
