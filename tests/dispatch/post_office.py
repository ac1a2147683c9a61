"""An app whose people have sleeping devices, and the pump that wakes them through fake channels."""

from datetime import timedelta
from uuid import UUID

from pydantic import TypeAdapter

from service.core.vocabulary import Channel
from service.dispatch.alerts import AlertsConfig, AlertSender
from service.dispatch.letters import Letters
from service.store.calls import decode
from service.store.credentials import CredentialBook, put_credentials
from service.store.devices import put_device
from service.store.users import put_user
from service.wire.credentials import Credentials, Granted
from service.wire.devices import DeviceBody
from service.wire.sealing import Vault
from service.wire.users import UserBody
from tests.dispatch.office import HeardDesk, Wire
from tests.fakes.channel import FakeChannel
from tests.switchboard.desk import APP

BODIES = {
    Channel.APNS: {"private_key": "pem", "key_id": "k", "team_id": "t", "bundle_id": "com.example"},
    Channel.FCM: {
        "service_account": {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "k",
            "private_key": "pem",
            "client_email": "a@example.com",
            "token_uri": "https://example.com/token",
        }
    },
    Channel.EMAIL: {"host": "mail.example.com", "sender": "calls@example.com"},
    Channel.MESSAGE: {"url": "https://sms.example.com/"},
}
CREDENTIALS = TypeAdapter(Credentials)


class PostOffice:
    """`ways` are the fake channels by their real ones' names. `ahead` moves the sender's clock."""

    def __init__(self, database, **settings):
        self.database = database
        self.wire = Wire(database)
        self.vault = Vault(["a key of the tests only"])
        self.ways = {channel: FakeChannel() for channel in BODIES}
        self.receipts = []
        self.moved = []
        self.ahead = 0.0
        self.book = CredentialBook(self.wire, self.vault, lambda: 0.0)
        self.sender = self.another()
        self.desk = HeardDesk(database, self.sender.wake, **settings)
        self.start = None

    def another(self, keys=None, **how):
        """One more sender, as another process has it; with a book of credentials of its own, if one is given."""
        letters = Letters(self._token, lambda: "https://calls.example.com")
        return AlertSender(
            self.wire,
            self.ways,
            keys or self.book,
            letters,
            lambda: self.start + timedelta(seconds=self.ahead),
            config=AlertsConfig(**{"poll_s": 0.05, **how}),
            counted=lambda channel, kind, receipt: self.receipts.append((channel, kind, receipt.outcome)),
            moved=lambda app_id, user_id: self.moved.append((app_id, user_id)),
        )

    async def _token(self, call, leg, ring, until):
        return f"token-of-{ring.device_id}"

    async def open(self, *channels):
        """With credentials for these channels, or for all."""
        await self.desk.open()
        for channel in channels or BODIES:
            body = CREDENTIALS.validate_python({"channel": channel, **BODIES[channel]})
            async with self.database.begin() as connection:
                await put_credentials(connection, self.vault, Granted(APP, channel, "production", body), {})
        self.start = await self.now()
        return self

    async def now(self):
        async with self.database.hot() as driver:
            return await driver.fetchval("SELECT clock_timestamp()")

    async def person(self, user_id, **facts):
        async with self.database.begin() as connection:
            await put_user(connection, APP, user_id, UserBody(**facts))

    async def device(self, user_id, name, provider="fcm", **fields):
        """A device that can be woken; its token is its name."""
        await self.person(user_id)
        push = {"provider": provider, "token": name}
        body = DeviceBody(platform="android", push=push, **fields)
        async with self.database.begin() as connection:
            return await put_device(connection, APP, user_id, name, body)

    async def send(self, seconds=None):
        """Let the sender do what is due so many seconds after the office opened (default: now)."""
        if seconds is None:
            self.ahead = (await self.now() - self.start).total_seconds()
            return await self.sender.run_once(self.desk.board)
        self.ahead = seconds
        return await self.sender.run_once(self.desk.board, self.start + timedelta(seconds=seconds))

    async def rows(self, call_id=None):
        """The alerts in the order of their making, as (kind, device or channel, state, reason, taken)."""
        async with self.database.hot() as driver:
            rows = await driver.fetch(
                "SELECT kind, coalesce(device_id, channel) AS to, state, reason, taken FROM alerts"
                " WHERE $1::uuid IS NULL OR call_id = $1 ORDER BY created_at, kind, device_id",
                call_id and UUID(call_id),
            )
        return [tuple(row) for row in rows]

    async def call(self, call_id):
        async with self.database.hot() as driver:
            row = await driver.fetchrow("SELECT body, version FROM calls WHERE id = $1", UUID(call_id))
        return decode(row["body"], row["version"])
