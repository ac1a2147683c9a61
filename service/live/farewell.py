"""The sockets of somebody whose tokens were revoked: closed, wherever they are (scenario 60)."""

from service.live.hub import Hub
from service.live.relay import Relay
from service.live.session import REVOKED
from service.store.connections import places_of
from service.store.database import Database


class Farewell:
    """Says good-bye to a user. The sockets of other replicas are closed by those."""

    def __init__(self, database: Database, hub: Hub, relay: Relay) -> None:
        self._database = database
        self._hub = hub
        self._relay = relay

    async def say(self, app_id: str, user_id: str) -> None:
        """Close every socket of the user. Raises `StoreUnavailableError` when those elsewhere cannot be found."""
        async with self._database.hot() as driver:
            places = await places_of(driver, app_id, user_id)
        for session in self._hub.sessions_of(app_id, user_id):
            self._hub.leave(session)
            session.close(REVOKED, "token_revoked")
        await self._relay.close_elsewhere(places)
