"""How a call did, for pictures later: pages of samples, for those who may see the call."""

from datetime import timedelta
from uuid import UUID

from service.store.quality import Sample, keep
from service.wire.canonical import rfc3339
from service.wire.quality import QualityPage, sample_text
from tests.api.front import problem

STREAM = {
    "stream_id": "s1",
    "user_id": "ana",
    "to": None,
    "direction": "up",
    "kind": "video",
    "source": "camera",
    "bitrate_bps": 1_200_000,
    "packets": 900,
    "loss": 0.01,
    "jitter_ms": 3.5,
    "rtt_ms": None,
    "layer": None,
}


async def measured(front, call, count):
    """So many samples of a call, 5 seconds apart."""
    async with front.database.hot() as driver:
        created = await driver.fetchval("SELECT clock_timestamp()")
        samples = []
        for number in range(count):
            at = created + timedelta(seconds=5 * number)
            text = sample_text(rfc3339(at), 1, [{**STREAM, "packets": number}])
            samples.append(Sample(UUID(call["id"]), at, text))
        await keep(driver, samples)


async def pages(client, call, **params):
    answer = await client.get(f"/v1/calls/{call['id']}/quality", params=params)
    assert answer.status_code == 200, answer.text
    QualityPage.model_validate(answer.json())
    return answer.json()


async def test_samples_come_in_pages_the_oldest_first(front):
    call = await front.talking("ana", "ben")
    assert await pages(front.http, call) == {"items": [], "next_cursor": None}
    await measured(front, call, 5)
    found, cursor = [], None
    while True:
        page = await pages(front.http, call, limit=2, **({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [item["streams"][0]["packets"] for item in found] == [0, 1, 2, 3, 4]
    assert found[0]["epoch"] == 1


async def test_participants_see_them_and_strangers_do_not(front):
    call = await front.talking("ana", "ben")
    await measured(front, call, 1)
    assert len((await pages(front.user("ben"), call))["items"]) == 1
    problem(await front.user("eve").get(f"/v1/calls/{call['id']}/quality"), 404, "not_found")


async def test_a_cursor_of_another_list_is_refused(front):
    call = await front.talking("ana", "ben")
    for cursor in ("abc", "MTIz", "eA"):
        answer = await front.http.get(f"/v1/calls/{call['id']}/quality", params={"cursor": cursor})
        problem(answer, 422, "invalid_request")
