"""The connect guard: whatever a receiver's name resolves to, only permitted addresses are ever connected to.

A name is resolved once for each connection and the connection goes to an address that was checked, so a name that
answers differently the second time (DNS rebinding) gains nothing. The URL keeps its name: TLS and the Host header see
what the receiver registered.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address

import httpcore2

from service.dispatch.network import Network
from service.wire.urls import why_not

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Name and port to numeric addresses, best first. Raises `OSError` when there are none."""

MOST_TRIED = 3
TRY_S = 4.0
"""How long one of several addresses may take to accept the connection."""


class ForbiddenAddressError(httpcore2.ConnectError):
    """The name leads only to addresses that the service must not connect to."""


class Guard(httpcore2.AsyncNetworkBackend):
    """A network backend for httpcore2 that resolves, checks and then connects to what it checked."""

    def __init__(
        self,
        resolve: Resolver,
        network: httpcore2.AsyncNetworkBackend | None = None,
        *,
        allow_private: bool = False,
    ) -> None:
        self._resolve = resolve
        self._network = network or Network()
        self._allow_private = allow_private

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a name that may be connected to, best first.

        Raises :class:`ForbiddenAddressError` when there are only others, `httpcore2.ConnectError` when there are none.
        """
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from None
        checked = [(address, why_not(ip_address(address), allow_private=self._allow_private)) for address in found]
        permitted = [address for address, why in checked if why is None]
        if not permitted:
            # Which addresses is not said: whoever names a name must not learn what it means in this network.
            told = ", ".join(dict.fromkeys(why for _, why in checked if why)) or "nothing"
            raise ForbiddenAddressError(f"{host} leads to no public address ({told})")
        return permitted

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first permitted address that answers. Raises as `addresses`, or the last try's error."""
        tries = (await self.addresses(host, port))[:MOST_TRIED]
        while True:
            address = tries.pop(0)
            patience = min(timeout or TRY_S, TRY_S) if tries else timeout
            try:
                return await self._network.connect_tcp(address, port, patience, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if not tries:
                    raise

    async def connected(self, host: str, port: int) -> socket.socket:
        """A connected socket, for what speaks another protocol than HTTP; whoever asks bounds the time.

        Goes to the first permitted address that answers; each but the last has its part of `TRY_S`. Raises as
        `addresses`, or the last try's `OSError`.
        """
        tries = (await self.addresses(host, port))[:MOST_TRIED]
        while True:
            address = tries.pop(0)
            patience = TRY_S / (len(tries) + 1) if tries else None
            try:
                async with asyncio.timeout(patience):
                    return await _connected(address, port)
            except OSError:  # TimeoutError is one
                if not tries:
                    raise


async def _connected(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    plain = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (address, port))
    except BaseException:
        plain.close()
        raise
    return plain


class SystemResolver:
    """The operating system's resolver, in threads of its own.

    A name server that does not answer holds a thread for many seconds. So nothing else shares these threads, there may
    be many, the same name is asked for once at a time, and the process does not wait for them when it ends.
    """

    def __init__(self, most_at_once: int = 512) -> None:
        self._free = asyncio.Semaphore(most_at_once)
        self._asked: dict[tuple[str, int], asyncio.Task[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a name. Raises `OSError`, `UnicodeError`."""
        asked = self._asked.get((host, port))
        if asked is None:
            asked = self._asked[host, port] = asyncio.create_task(self._ask(host, port))
            asked.add_done_callback(lambda done: self._forget(host, port, done))
        # Whoever gives up first must not take the answer away from the others.
        return await asyncio.shield(asked)

    def _forget(self, host: str, port: int, done: "asyncio.Task[list[str]]") -> None:
        del self._asked[host, port]
        if not done.cancelled():
            done.exception()  # everybody may have given up waiting; then nobody else looks at it

    async def _ask(self, host: str, port: int) -> list[str]:
        async with self._free:
            answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
            threading.Thread(target=_look_up, args=(host, port, answer), name="resolver", daemon=True).start()
            return await answer


def _look_up(host: str, port: int, answer: "asyncio.Future[list[str]]") -> None:
    """In a thread: ask, and hand the answer to the loop that waits for it."""
    found: list[str] = []
    fault: Exception | None = None
    try:
        rows = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        found = list(dict.fromkeys(str(row[4][0]) for row in rows))
    except (OSError, UnicodeError) as error:
        fault = error

    def deliver() -> None:
        if answer.cancelled():
            return
        if fault:
            answer.set_exception(fault)
        else:
            answer.set_result(found)

    try:
        answer.get_loop().call_soon_threadsafe(deliver)
    except RuntimeError:
        return  # the loop has ended: nobody waits any more
