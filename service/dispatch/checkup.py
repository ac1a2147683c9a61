"""What `doctor` wants to know of the apps' credentials: whether they can be read, are what they should be, and work."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from service.core.vocabulary import Channel
from service.dispatch.push.channel import Channel as Way
from service.store.checkup import Finding
from service.store.credentials import Kept
from service.wire.uploads import UploadError, check_upload

AT_ONCE = 16
NOBODY_WOKEN = "no app has credentials of a push service (`hookswitch push set`): phones that sleep are not woken"
NO_KEY_YET = "HOOKSWITCH_SECRET_KEYS is not set: credentials of push services cannot be taken"
LINKS = "HOOKSWITCH_PUBLIC_URL is not set: the links in what is pushed work on this machine alone"


async def examine_credentials(
    kept: Sequence[Kept], ways: Mapping[Channel, Way], now: datetime, *, allow_private: bool
) -> list[Finding]:
    """One sentence for each; providers are asked where that tells nobody anything. Within a few seconds for each."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def examined(each: Kept) -> Finding:
        async with gate:
            found = await _examined(each, ways, now, allow_private=allow_private)
        return Finding(f"app {each.app_name} ({each.app_id}): {found.text}", found.fault, found.note)

    return await asyncio.gather(*map(examined, kept))


def notes(kept: Sequence[Kept], *, sealing: bool, public_url: str | None) -> list[Finding]:
    """What is left out as the settings are. `sealing`: the service has a key."""
    if not kept:
        return [Finding(NOBODY_WOKEN if sealing else NO_KEY_YET, note=True)]
    return [] if public_url else [Finding(LINKS, note=True)]


async def _examined(each: Kept, ways: Mapping[Channel, Way], now: datetime, *, allow_private: bool) -> Finding:
    name = f"{each.channel.value} ({each.environment})"
    if each.granted is None:
        return Finding(f"{name}: {each.problem}", fault=True)
    try:
        await asyncio.to_thread(check_upload, each.granted.body, allow_private=allow_private)
    except UploadError as error:
        return Finding(f"{name}: {error}", fault=True)
    return await ways[each.channel].check(each.granted, now)
