"""Room for alerts: lanes that hang take nothing from those that do not."""

import pytest

from service.dispatch.space import Space, SpaceConfig
from service.store.lanes import channel_of, lane_of

FCM = [f"fcm:app{number}" for number in range(100)]


def fill(space, lane):
    free = space.room([lane]).get(lane, 0)
    for _ in range(free):
        space.took_off(lane)
    return free


def land(space, lane, count, took_s):
    for _ in range(count):
        space.landed(lane, took_s)


def test_many_hanging_lanes_leave_each_other_lane_its_first_places():
    space = Space(SpaceConfig(per_channel=100, per_lane=50, first=4))
    filled = [fill(space, lane) for lane in FCM[:10]]
    assert filled == [50, 50, 12, 4, 4, 4, 4, 4, 4, 4]
    assert fill(space, "webpush:push.example.com") == 50, "another channel has a pool of its own"


def test_slow_lanes_share_half_a_pool_of_their_own():
    space = Space(SpaceConfig(per_channel=100, per_lane=50, first=4))
    for lane in FCM[:10]:
        land(space, lane, fill(space, lane), took_s=2.5)
    assert [fill(space, lane) for lane in FCM[:10]] == [50, 8, *[4] * 8]
    assert fill(space, FCM[10]) == 50
    land(space, FCM[1], 8, took_s=0.1)
    assert fill(space, FCM[1]) == 50, "it is fast again"


def test_in_all_there_are_no_more_than_a_process_bears():
    space = Space(SpaceConfig(per_channel=10, per_lane=5, first=5, most_in_all=20))
    assert space.room(FCM) == dict.fromkeys(FCM[:4], 5)
    for lane in FCM[:4]:
        fill(space, lane)
    assert space.room(FCM) == {}
    space.landed(FCM[0], 0)
    assert space.room(FCM) == {FCM[0]: 1}


@pytest.mark.parametrize("rest", ["", "/a", "?1", "?2/", "#x", ":443/send", "/a?b=c", "/@other.example.com"])
async def test_whatever_follows_the_host_a_push_service_has_one_lane(database, rest):
    push = f'{{"subscription": {{"endpoint": "https://Push.example.com{rest}"}}}}'
    async with database.hot() as driver:
        lane = await driver.fetchval(f"SELECT {lane_of('$1::text', '$2::text', '$3::jsonb')}", "webpush", "app", push)
    assert (lane, channel_of(lane)) == ("webpush:push.example.com", "webpush")


async def test_who_signs_in_in_an_endpoint_has_no_lane_of_its_own(database):
    push = '{"subscription": {"endpoint": "https://a:b@push.example.com/x"}}'
    async with database.hot() as driver:
        lane = await driver.fetchval(f"SELECT {lane_of('$1::text', '$2::text', '$3::jsonb')}", "webpush", "app", push)
    assert lane == "webpush:push.example.com"
