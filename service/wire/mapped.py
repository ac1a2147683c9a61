"""`presence.changed` in the words of telephone systems: `mapped` beside the envelope's members, for one receiver.

The event itself is the same for all, and so is its hash, which covers `type`, `timestamp` and `data` alone.
"""

from dataclasses import dataclass

import msgspec
import orjson

from service.core.cti import Format, Outline, mapped

OF_PRESENCE = '"type":"presence.changed"}'
"""How the text of such an event ends: its members are sorted."""


@dataclass(slots=True, frozen=True)
class _Data:
    presence: Outline


@dataclass(slots=True, frozen=True)
class _Event:
    data: _Data


_decoder = msgspec.json.Decoder(_Event)


def beside(text: str, form: Format) -> str:
    """What stands beside the envelope of an event of this text, from its comma on: `,"mapped":"CONNECTED"`.

    The word is null where the system has none. Nothing stands beside events of other types.
    """
    if not text.endswith(OF_PRESENCE):
        return ""
    try:
        word = mapped(_decoder.decode(text).data.presence, form)
    except msgspec.ValidationError:  # another version told it
        word = None
    return f',"mapped":{orjson.dumps(word).decode()}'


def with_mapped(text: str, form: Format) -> str:
    """The text of an event with the word of that system, if it is one of presence."""
    return f"{text[:-1]}{beside(text, form)}}}"
