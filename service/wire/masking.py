"""What providers and receivers said, without what nobody may read: addresses of people, tokens, places in URLs."""

import re

LONGEST = 300
URL = re.compile(r"\b(?:https?|wss?)://(?:[^\s/@\"'<>]*@)?([^\s/?#\"'<>]+)[^\s\"'<>]*", re.ASCII)
EMAIL = re.compile(r"([^\s@<>\"',;:()\[\]])[^\s@<>\"',;:()\[\]]*@([^\s@<>\"',;:()\[\]]+)")
PHONE = re.compile(r"(?<![\w.:-])(?:\+\d[\d ().-]{5,}|0[\d ()./-]{7,}|\d{8,14})(\d\d)(?![\w-])", re.ASCII)
TOKEN = re.compile(r"(?<![\w-])(?!(?:[0-9a-f]{4,12}-){4}[0-9a-f]{12})[\w+/=~:%-]{32,}", re.ASCII)
"""A run that is too long for a word; UUIDs are names and no secrets."""


def masked(text: str | None) -> str | None:
    """The text with hosts in place of URLs, and with e-mail addresses, phone numbers and tokens made unreadable."""
    if text is None:
        return None
    text = URL.sub(r"\1", text)
    text = EMAIL.sub(r"\1…@\2", text)
    text = PHONE.sub(r"…\1", text)
    text = TOKEN.sub("…", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def masked_name(text: str | None) -> str | None:
    """A provider's name for what it took. It may be long; but it may be an address, or a place."""
    if text is None:
        return None
    text = EMAIL.sub(r"\1…@\2", URL.sub(r"\1", text))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
