"""The front door in process: real application, real PostgreSQL, no network. Times can be moved."""

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

import httpx2

from service.api.application import build_api
from service.api.auth import Gate
from service.api.bell import Bell
from service.api.deps import ApiConfig, Deps
from service.api.limits import Limits, LimitsConfig
from service.store.apps import AppBook, change_settings, create_app
from service.store.calls import load
from service.store.revocations import RevocationBook
from service.switchboard.board import Switchboard
from service.wire.sealing import Vault
from service.wire.tokens import RingClaims, TokenKey, UserClaims, mint_ring, mint_user
from tests.switchboard.desk import AGE, ONLINE, shifted

VAULT = Vault(["a key of the tests only"])
NO_LIMITS = LimitsConfig(0, 0, 0, 0, 0)


@dataclass
class Clock:
    """The clock of this process; `skip` moves it on (the database keeps its own)."""

    ahead: float = 0.0

    def __call__(self):
        return time.time() + self.ahead

    def skip(self, seconds):
        self.ahead += seconds


@dataclass
class Front:
    """An app and its clients: `http` carries the API key."""

    deps: Deps
    database: object
    clock: Clock
    app: object
    credentials: object
    http: httpx2.AsyncClient
    told: list = field(default_factory=list)

    def client(self, credential):
        headers = {"authorization": f"Bearer {credential}"} if credential else {}
        # A fault inside the application must be seen as an answer, as behind a real server.
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers)

    @property
    def key(self):
        made = self.credentials
        return TokenKey(made.signing_key_id, made.app_id, made.signing_secret)

    def token(self, user_id, *, ttl_s=600, now=None, **claims):
        return mint_user(self.key, UserClaims(user_id, **claims), now=self.clock() if now is None else now, ttl_s=ttl_s)

    def user(self, user_id, **claims):
        return self.client(self.token(user_id, **claims))

    async def post(self, path, body=None, *, by=None, **options):
        """POST to `/v1` + path as the backend, or as the client `by`."""
        return await (by or self.http).post(f"/v1{path}", json={} if body is None else body, **options)

    async def call(self, caller="ana", *callees, **options):
        """A call that rings, as its JSON."""
        body = {"initiator": caller, "participants": list(callees or ("ben",)), **options}
        answer = await self.post("/calls", body)
        assert answer.status_code == 201, answer.text
        return answer.json()["call"]

    async def talking(self, caller="ana", callee="ben", **options):
        """A call that was answered."""
        call = await self.call(caller, callee, **options)
        answer = await self.post(f"/calls/{call['id']}/answer", {"user_id": callee, "device_id": f"{callee}-1"})
        assert answer.status_code == 200, answer.text
        return answer.json()["call"]

    async def online(self, user_id, device_id=None):
        async with self.database.hot() as driver:
            await driver.execute(ONLINE, self.credentials.app_id, user_id, device_id or f"{user_id}-1", False, None)

    async def make_older(self, call_id, seconds):
        """As if the call had been dialled so many seconds earlier."""
        async with self.database.hot() as driver:
            body = await driver.fetchval("SELECT body FROM calls WHERE id = $1", UUID(call_id))
            await driver.execute(AGE, UUID(call_id), shifted(body, seconds), seconds)

    async def aggregate(self, call_id):
        async with self.database.hot() as driver:
            return (await load(driver, UUID(call_id))).call

    async def ring(self, call_id, user_id, device_id=None):
        """The ring's id and a client with its action token."""
        call = await self.aggregate(call_id)
        ring = call.leg(user_id).ring_of(device_id or f"{user_id}-1")
        claims = RingClaims(ring.id, call.id, user_id, ring.device_id)
        token = mint_ring(self.key, claims, now=self.clock(), ring_deadline=self.clock() + 60)
        return ring.id, self.client(token)

    async def events(self, call_id):
        answer = await self.http.get(f"/v1/calls/{call_id}/events", params={"limit": 200})
        return answer.json()["items"]

    async def set(self, **settings):
        """Change the app's settings."""
        async with self.database.begin() as connection:
            await change_settings(connection, self.credentials.app_id, settings)
        self.deps.book.forget()


@asynccontextmanager
async def front_door(database, *, limits=NO_LIMITS, config=None, vault=VAULT, **settings):
    """A front door with a new app of these settings."""
    clock = Clock()
    told = []
    bell = Bell()
    book = AppBook(database, clock)
    deps = Deps(
        database=database,
        switchboard=Switchboard(database, [told.extend, bell.ring]),
        book=book,
        gate=Gate(book, RevocationBook(database, clock), clock),
        limits=Limits(limits, lambda: clock.ahead),
        clock=clock,
        config=config or ApiConfig(),
        bell=bell,
        vault=vault,
    )
    async with database.begin() as connection:
        credentials = await create_app(connection, "test", **settings)
    front = Front(deps, database, clock, build_api(deps), credentials, None, told)
    front.http = front.client(credentials.api_key)
    async with front.http:
        yield front


@asynccontextmanager
async def neighbour(front, **settings):
    """Another app behind the same door; nothing of the first belongs to it."""
    async with front.database.begin() as connection:
        credentials = await create_app(connection, "neighbour", **settings)
    async with front.client(credentials.api_key) as http:
        yield replace(front, credentials=credentials, http=http)


def problem(response, status, code):
    """The problem in a response; it must be one, with this status and code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["type"] == f"urn:hookswitch:problem:{code}"
    assert body["title"]
    assert body["detail"]
    return body
