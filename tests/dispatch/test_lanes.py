"""How much whom is allowed at once: the two pools, what is in no pool, and who is in which."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.pacing import FIRST_AT_ONCE
from service.dispatch.lanes import Lanes, LanesConfig

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
A, B, C = (UUID(int=n) for n in range(1, 4))


def lanes(**how):
    return Lanes(LanesConfig(**how))


def proven(some, *webhooks, successes=20):
    for webhook in webhooks:
        for _ in range(successes):
            some.took(webhook)
    return some


def test_a_new_webhook_begins_with_few():
    assert lanes().room([A, B]) == {A: FIRST_AT_ONCE, B: FIRST_AT_ONCE}


def test_each_success_allows_one_more_up_to_the_most():
    some = lanes(per_webhook=5)
    seen = []
    for _ in range(5):
        seen.append(some.room([A])[A])
        some.took(A)
    assert seen == [2, 3, 4, 5, 5]


def test_what_is_under_way_counts():
    some = proven(lanes(), A)
    some.took_off(A, 10)
    assert some.room([A]) == {A: 6}
    some.took_off(A, 6)
    assert some.room([A]) == {}
    assert some.flying == {A}
    some.landed(A, 16)
    assert (some.room([A]), some.flying) == ({A: 16}, frozenset())


def test_one_that_fails_has_one_until_it_succeeds():
    some = proven(lanes(), A)
    some.failed(A)
    assert some.room([A]) == {A: 1}
    some.took_off(A, 1)
    assert some.room([A]) == {}
    some.landed(A, 1)
    some.took(A)
    assert some.room([A]) == {A: 16}


def test_what_others_fill_takes_nothing_of_the_first_few():
    some = proven(lanes(most_at_once=16), A, B)
    some.took_off(A, 16)
    assert some.room([B]) == {B: FIRST_AT_ONCE}
    some.took_off(B, FIRST_AT_ONCE)
    assert some.room([B]) == {}


def test_those_that_fail_share_half_and_take_nothing_from_the_others():
    some = proven(lanes(most_at_once=4), C)
    for webhook in (A, B):
        some.failed(webhook)
        some.took_off(webhook, 1)
    other = UUID(int=9)
    some.failed(other)
    assert some.room([other, C]) == {C: 4}


def test_those_that_keep_somebody_waiting_are_counted_with_the_failing():
    some = proven(lanes(most_at_once=16, slow_s=2), A, B)
    some.took_off(A, 16)
    some.know_slow([(A, 100.0)], now=101.9)
    assert some.room([B]) == {B: FIRST_AT_ONCE}
    some.know_slow([(A, 100.0), (B, 102.0)], now=102.1)
    assert some.room([B]) == {B: 16}
    some.landed(A, 8)
    assert some.room([A]) == {}, "eight of the slow ones' eight are still under way"
    some.landed(A, 1)
    assert some.room([A]) == {A: 1}


def test_there_is_an_end_to_everything():
    some = proven(lanes(most_at_once=4, most_in_all=5), A)
    some.took_off(A, 4)
    assert some.room([B, C]) == {B: 1}


def test_the_database_knows_who_fails_except_where_it_cannot_know_yet():
    some = lanes()
    some.failed(A)
    some.failed(B)
    some.know_failing([C], newer=[A])
    assert some.room([A, B, C]) == {A: 1, B: 2, C: 1}


def test_too_much_to_do_halves_and_a_success_adds_again():
    some = proven(lanes(), A)
    some.overran(A, NOW, NOW)
    some.took(A)
    assert some.room([A]) == {A: 9}


def test_of_very_many_webhooks_the_oldest_pace_is_forgotten(monkeypatch):
    monkeypatch.setattr("service.dispatch.lanes.MOST_PACES", 2)
    some = proven(lanes(), A, B, C)
    assert [some.pace(webhook).at_once for webhook in (A, B, C)] == [FIRST_AT_ONCE, 16, 16]


@given(st.data())
def test_no_bound_is_ever_broken(data):
    """Whoever takes off, fails, succeeds or is slow: never more than allowed, and never nothing for a newcomer."""
    config = LanesConfig(most_at_once=8, per_webhook=4, most_in_all=16)
    some, webhooks, up, failing = Lanes(config), [UUID(int=n) for n in range(8)], {}, set()
    for step in range(data.draw(st.integers(1, 30))):
        webhook = data.draw(st.sampled_from(webhooks))
        kind = data.draw(st.sampled_from(["room", "took", "failed", "slow", "overran"]))
        if kind == "room":
            for each, count in some.room(webhooks).items():
                assert count > 0
                some.took_off(each, count)
                up[each] = up.get(each, 0) + count
                assert up[each] <= (1 if each in failing else config.per_webhook)
            assert sum(up.values()) <= config.most_in_all
        elif kind == "slow":
            some.know_slow([(webhook, 0.0)], 10.0)
        elif kind == "overran":
            some.overran(webhook, NOW, NOW + timedelta(seconds=step))
        else:
            getattr(some, kind)(webhook)
            (failing.add if kind == "failed" else failing.discard)(webhook)
            if up.get(webhook):
                some.landed(webhook, up.pop(webhook))


@pytest.mark.parametrize("others", [1, 100])
def test_a_healthy_webhook_has_the_same_room_beside_one_and_beside_a_hundred_that_hang(others):
    some = proven(lanes(), A)
    hanging = [UUID(int=100 + n) for n in range(others)]
    for webhook, count in some.room(hanging).items():
        some.took_off(webhook, count)
    assert some.room([A]) == {A: 16}
