"""iPhones: registrations, notices for them, and a channel with the stand-in for Apple that it talks to."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from service.core.vocabulary import AlertKind, Channel
from service.dispatch.push.apns import ApnsChannel
from service.store.provider_tokens import ProviderTokens
from service.wire.credentials import Granted
from service.wire.sealing import Vault
from tests.dispatch.notices import notice
from tests.fixtures.apns import apns, token

VAULT = Vault(["a key of the tests only"])
RING_S = 45


def push(*words, alert="ok", **fields):
    """An iPhone's registration; to its VoIP token, and to its other one, the stand-in says what the words mean."""
    other = {"alert_token": token(*alert.split())} if alert else {}
    return {"provider": "apns", "token": token(*words or ("ok",)), **other, **fields}


def ring(*words, kind=AlertKind.RING, registered=None, **how):
    """A ring, or another notice, that is good for a while from now."""
    how.setdefault("expires_at", datetime.now(UTC) + timedelta(seconds=RING_S))
    return notice(kind, push=registered or push(*words), **how)


class Phones:
    """A channel for one app's phones, and the stand-in that it reaches, if any."""

    def __init__(self, database, credentials, config, server=None):
        self.server = server
        self.tokens = ProviderTokens(database, VAULT)
        self.channel = ApnsChannel(self.tokens, config)
        self.credentials = credentials

    def granted(self, environment="production"):
        return Granted("app", Channel.APNS, environment, self.credentials)

    async def send(self, told, now=None):
        return await self.channel.send(told, self.granted(), now or datetime.now(UTC))

    async def told(self, told):
        """What the stand-in got of that notice, and the receipt."""
        before = len(self.server.requests)
        receipt = await self.send(told)
        return (await self.server.got(before + 1))[before], receipt


@asynccontextmanager
async def phones_of(database, folder, credentials, *others, channel=None, **how):
    """A stand-in with these options, and a channel to it; `others` are credentials that it knows besides."""
    async with apns(folder, credentials, *others, **how) as server:
        phones = Phones(database, credentials, server.config(**(channel or {})), server)
        try:
            yield phones
        finally:
            await phones.channel.close()
