"""Messages by apprise, where somebody has installed it: a library that blocks, in threads of its own.

A thread that hangs cannot be stopped. So there are few, nobody else uses them, one that hangs keeps its place, and the
process does not wait for them when it ends.
"""

import asyncio
import threading
from collections.abc import Callable

Notify = Callable[[str, str], bool]
"""URL and text; whether the service took it. Raises `ImportError` where there is no apprise."""


class Apprise:
    """Sends one text at a time by a URL; `notify` is apprise's own, or stands in for it in tests."""

    def __init__(self, most_at_once: int = 16, notify: Notify | None = None) -> None:
        self._free = asyncio.Semaphore(most_at_once)
        self._notify = notify or _notify

    async def send(self, url: str, text: str) -> bool:
        """Whether the service took it; whoever asks bounds the time. Raises what `notify` raises."""
        await self._free.acquire()
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._in_thread, args=(url, text, answer), name="apprise", daemon=True).start()
        return await answer

    def _in_thread(self, url: str, text: str, answer: "asyncio.Future[bool]") -> None:
        taken, fault = False, None
        try:
            taken = self._notify(url, text)
        except Exception as error:  # noqa: BLE001 - whoever waits hears of it
            fault = error

        def deliver() -> None:
            self._free.release()
            if answer.cancelled():
                return
            if fault:
                answer.set_exception(fault)
            else:
                answer.set_result(taken)

        try:
            answer.get_loop().call_soon_threadsafe(deliver)
        except RuntimeError:
            return  # the loop has ended: nobody waits any more


def _notify(url: str, text: str) -> bool:
    """In a thread: by apprise itself, which is there only where somebody wants it."""
    from apprise import Apprise as Library  # noqa: PLC0415 - an extra
    from apprise import AppriseAsset  # noqa: PLC0415 - as above

    service = Library.instantiate(url, asset=AppriseAsset(http_redirects=False))
    if service is None:
        raise ValueError("apprise cannot read that URL")
    return bool(service.notify(body=text))
