"""Which addresses of apprise (`twilio://…`) may be used for messages: the pure rules.

Apprise knows far more than messages: it pops up windows, writes to the system's log, runs programs and reads files
where it runs, and it looks names up by itself, so that nobody can check where they lead. Hence two lists of what may be
used, and not one of what may not: services that have an address of their own, and, where private addresses are allowed
(development, a house of one's own), gateways that are named in the URL. Whatever is on neither is reached by `url`.
"""

import re
from urllib.parse import parse_qsl, quote

PHONE = "{phone}"
SCHEMA = re.compile(r"([a-z0-9]{2,20})://\S*", re.ASCII | re.IGNORECASE)
ELSEWHERE = frozenset(
    {
        "46elks",
        "elks",
        "atalk",
        "bulksms",
        "bulkvs",
        "burstsms",
        "kudosity",
        "clickatell",
        "clicksend",
        "cm",
        "d7sms",
        "discord",
        "exotel",
        "freemobile",
        "gupshup",
        "httpsms",
        "kavenegar",
        "line",
        "mobilemessage",
        "mobilemsg",
        "msg91",
        "msgbird",
        "nexmo",
        "octopush",
        "plivo",
        "seven",
        "sfr",
        "sinch",
        "slack",
        "smsmanager",
        "smsmgr",
        "smstunnel",
        "sns",
        "telesign",
        "telnyx",
        "tgram",
        "threema",
        "twilio",
        "viber",
        "voipms",
        "vonage",
        "whatsapp",
    }
)
"""SMS and chat by services whose address is fixed in apprise."""
IN_THE_HOUSE = frozenset(
    {
        "evolution",
        "evolutions",
        "form",
        "forms",
        "gotify",
        "gotifys",
        "json",
        "jsons",
        "matrix",
        "matrixs",
        "mmost",
        "mmosts",
        "nctalk",
        "nctalks",
        "ntfy",
        "ntfys",
        "rocket",
        "rockets",
        "signal",
        "signals",
        "smseagle",
        "smseagles",
        "xml",
        "xmls",
    }
)
"""Gateways and chat servers that the URL names."""
NOT_ONES_OWN = frozenset({"attach", "cto", "keyfile", "redirect", "retry", "rto", "template", "verify", "wait"})
"""Arguments that read files of this machine, hold its threads, or look less closely at whom they speak with."""


def check_apprise(url: str, *, allow_private: bool = False) -> None:
    """Raises `ValueError` with one plain sentence when an apprise URL must not be used."""
    found = SCHEMA.fullmatch(url)
    if not found:
        raise ValueError("does not begin with the name of a service and ://")
    schema = found[1].lower()
    if schema in IN_THE_HOUSE and not allow_private:
        raise ValueError("leads to where nobody can check; use url for a gateway of your own")
    if schema not in ELSEWHERE | IN_THE_HOUSE:
        raise ValueError("is not a service that messages go by")
    names = {name.lower().lstrip("+-:") for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)}
    if refused := sorted(names & NOT_ONES_OWN):
        raise ValueError(f"has the argument {refused[0]}, which is not for others to choose")


def apprise_url(url: str, phone: str | None) -> str | None:
    """The URL for one person; `None` when it wants a number and there is none."""
    if PHONE not in url:
        return url
    return url.replace(PHONE, quote(phone, safe="")) if phone else None
