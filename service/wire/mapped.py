"""`presence.changed` in the words of telephone systems: `mapped` beside the envelope's members, for one receiver.

The event itself is the same for all, and so is its hash, which covers `type`, `timestamp` and `data` alone.
"""

from dataclasses import dataclass

import msgspec
import orjson

from service.core.cti import Format, Outline, mapped


@dataclass(slots=True, frozen=True)
class _Data:
    presence: Outline


@dataclass(slots=True, frozen=True)
class _Event:
    data: _Data


_decoder = msgspec.json.Decoder(_Event)


def with_mapped(text: str, form: Format) -> str:
    """The text of a `presence.changed` event with the word of that system, null where it has none."""
    word = mapped(_decoder.decode(text).data.presence, form)
    return f'{text[:-1]},"mapped":{orjson.dumps(word).decode()}}}'
