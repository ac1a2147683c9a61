from contextlib import AsyncExitStack

import pytest

from service.dispatch.guard import Guard, SystemResolver
from service.dispatch.post import PostConfig, Poster
from tests.dispatch.office import Office
from tests.live.replica import Replica


@pytest.fixture
async def make_poster():
    """Posters that may call loopback; `timeout_s` and the rest as in `PostConfig`."""
    made = []

    def make(resolve=None, tls=None, **how):
        how.setdefault("allow_private", True)
        how.setdefault("timeout_s", 5.0)
        guard = Guard(resolve or SystemResolver(), allow_private=how["allow_private"])
        made.append(Poster(guard, PostConfig(**how), tls))
        return made[-1]

    yield make
    for poster in made:
        await poster.close()


@pytest.fixture
def poster(make_poster):
    return make_poster()


@pytest.fixture
async def office(database, make_poster):
    """An app with webhooks, and senders for them."""
    office = await Office(database, make_poster).open()
    yield office
    await office.close()


@pytest.fixture
async def hired(database):
    """Makes replicas; ends them afterwards."""
    async with AsyncExitStack() as stack:
        made = []

        async def make(*, workers=True, running=True, **how):
            replica = await Replica(database, workers=workers, **how).open()
            if running:
                await stack.enter_async_context(replica.listening(controlled=True))
            made.append(replica)
            for each in made:
                await each.bus.poll_once()  # so that nobody believes to be alone
            return replica

        yield make
