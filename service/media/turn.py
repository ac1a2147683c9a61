"""Asking TURN servers whether they answer and let the service's users in, for `doctor`."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aioice import stun, turn

from service.store.checkup import Finding
from service.wire.ice import IceConfig
from service.wire.turn import turn_credential

PATIENCE_S = 4.0
NOT_TO_BE_REACHED = ("169.254.169.254", 80)
"""Where clouds keep the credentials of their machines: no TURN server should lead there."""
URL = re.compile(
    r"(?P<scheme>turns?):(?P<host>\[[^\]]+\]|[^:?\[\]]+)(:(?P<port>\d{1,5}))?(\?transport=(?P<transport>udp|tcp))?"
)
LIFETIME_S = 600
CHANNEL_S = 500

Client = turn.TurnClientUdpProtocol | turn.TurnClientTcpProtocol


@dataclass(slots=True, frozen=True)
class TurnServer:
    """One TURN address and what opens it. `shared`: the credential was made with the shared secret."""

    url: str
    username: str
    credential: str
    shared: bool


def turn_servers(ice: IceConfig, now: float) -> list[TurnServer]:
    """Every TURN address that clients are told, with a credential as a client would get it."""
    fixed = [
        TurnServer(url, server.username or "", server.credential or "", shared=False)
        for server in ice.servers
        for url in server.urls
        if url.startswith("turn")
    ]
    if not ice.turn.urls:
        return fixed
    username, credential = turn_credential(ice.turn.secrets[0], "doctor", int(now) + ice.turn.ttl_s)
    return fixed + [TurnServer(url, username, credential, shared=True) for url in ice.turn.urls]


async def examine_turn(ice: IceConfig, now: float) -> list[Finding]:
    """Ask all of them at once; one sentence for each. `now` is in seconds since the epoch."""
    servers = turn_servers(ice, now)
    if not servers:
        return [Finding("no TURN server is configured: calls through strict firewalls have no media", note=True)]
    return [finding for found in await asyncio.gather(*map(_ask, servers)) for finding in found]


async def _ask(server: TurnServer) -> list[Finding]:
    try:
        async with asyncio.timeout(PATIENCE_S), _allocation(server) as client:
            reached = await _leads_to(client, NOT_TO_BE_REACHED)
    except TimeoutError:
        return [Finding(f"{server.url} does not answer within {PATIENCE_S:.0f} s", fault=True)]
    except stun.TransactionError as error:
        return [Finding(_refusal(server, error), fault=True)]
    except ssl.SSLError as error:
        return [Finding(f"{server.url}: clients will not trust its certificate ({error.reason or error})", fault=True)]
    except (OSError, ValueError) as error:
        return [Finding(f"{server.url} cannot be reached: {error}", fault=True)]
    findings = [Finding(f"{server.url} answers and accepts our credential")]
    if reached:
        peer = NOT_TO_BE_REACHED[0]
        told = f"{server.url} lets clients reach {peer}: deny private peers, as deploy/turnserver.conf does"
        findings.append(Finding(told, note=True))
    return findings


def _refusal(server: TurnServer, error: stun.TransactionError) -> str:
    response = error.response
    if response is None:
        return f"{server.url} stopped answering"
    if response.error_code != 401:
        return f"{server.url} answers and gives no relay: {response.attributes['ERROR-CODE']}"
    why = (
        "its shared secret is not the first of HOOKSWITCH_TURN_SECRETS, or its clock is wrong"
        if server.shared
        else "the one in HOOKSWITCH_ICE_SERVERS is wrong"
    )
    return f"{server.url} answers and refuses our credential: {why}"


@asynccontextmanager
async def _allocation(server: TurnServer) -> AsyncIterator[Client]:
    """A relayed address, given back afterwards. Raises `TransactionError`, `OSError`, `ValueError`."""
    client = await _connect(server)
    try:
        await client.connect()
        yield client
    finally:
        if client.relayed_address is None:
            client.transport.close()
        else:
            await client.delete()


async def _connect(server: TurnServer) -> Client:
    found = URL.fullmatch(server.url)
    if found is None:
        message = "this is no TURN address (turn:host:port?transport=udp)"
        raise ValueError(message)
    secure = found["scheme"] == "turns"
    host = found["host"].strip("[]")
    port = int(found["port"] or (5349 if secure else 3478))
    streamed = found["transport"] == "tcp" or (secure and found["transport"] is None)
    if secure and not streamed:
        message = "TURN over DTLS cannot be tried here; browsers do not use it either"
        raise ValueError(message)
    options = ((host, port), server.username, server.credential, LIFETIME_S, CHANNEL_S)
    loop = asyncio.get_running_loop()
    if not streamed:
        _, client = await loop.create_datagram_endpoint(
            lambda: turn.TurnClientUdpProtocol(*options), remote_addr=(host, port)
        )
        return client
    context = ssl.create_default_context() if secure else None
    _, over_tcp = await loop.create_connection(lambda: turn.TurnClientTcpProtocol(*options), host, port, ssl=context)
    return over_tcp


async def _leads_to(client: Client, peer: tuple[str, int]) -> bool:
    """Whether the server would relay to that peer; nothing is sent there."""
    request = stun.Message(stun.Method.CREATE_PERMISSION, stun.Class.REQUEST)
    request.attributes["XOR-PEER-ADDRESS"] = peer
    try:
        await client.request_with_retry(request)
    except stun.TransactionFailed:
        return False
    return True
