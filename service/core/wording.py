"""What a person reads where a device, a mail or a message shows a notice by itself: short, in the person's language."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from service.core.calls import Call
from service.core.vocabulary import AlertKind, CallType, StopReason

Words = Mapping[str, str]
ENGLISH = "en"

WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "en": {
            "ring": "{caller} is calling",
            "ring_video": "{caller} is calling with video",
            "group": "{caller} is calling you and {others} more",
            "stop": "The call from {caller} has ended",
            "answered_elsewhere": "The call from {caller} was answered on another device",
            "declined_elsewhere": "The call from {caller} was declined on another device",
            "missed": "Missed call from {caller}",
            "notify": "{caller} invites you to a call",
            "until": "Until {time} UTC",
        },
        "de": {
            "ring": "{caller} ruft an",
            "ring_video": "{caller} ruft mit Video an",
            "group": "{caller} ruft Sie und {others} weitere an",
            "stop": "Der Anruf von {caller} ist beendet",
            "answered_elsewhere": "Der Anruf von {caller} wurde auf einem anderen Gerät angenommen",
            "declined_elsewhere": "Der Anruf von {caller} wurde auf einem anderen Gerät abgelehnt",
            "missed": "Verpasster Anruf von {caller}",
            "notify": "{caller} lädt Sie zu einem Gespräch ein",
            "until": "Bis {time} UTC",
        },
        "es": {
            "ring": "{caller} está llamando",
            "ring_video": "{caller} está llamando con vídeo",
            "group": "{caller} le llama a usted y a {others} más",
            "stop": "La llamada de {caller} ha terminado",
            "answered_elsewhere": "La llamada de {caller} se respondió en otro dispositivo",
            "declined_elsewhere": "La llamada de {caller} se rechazó en otro dispositivo",
            "missed": "Llamada perdida de {caller}",
            "notify": "{caller} le invita a una llamada",
            "until": "Hasta {time} UTC",
        },
        "fr": {
            "ring": "{caller} vous appelle",
            "ring_video": "{caller} vous appelle en vidéo",
            "group": "{caller} vous appelle, avec {others} autres",
            "stop": "L'appel de {caller} est terminé",
            "answered_elsewhere": "L'appel de {caller} a été pris sur un autre appareil",
            "declined_elsewhere": "L'appel de {caller} a été refusé sur un autre appareil",
            "missed": "Appel manqué de {caller}",
            "notify": "{caller} vous invite à un appel",
            "until": "Jusqu'au {time} UTC",
        },
        "it": {
            "ring": "{caller} sta chiamando",
            "ring_video": "{caller} sta videochiamando",
            "group": "{caller} chiama lei e altri {others}",
            "stop": "La chiamata di {caller} è terminata",
            "answered_elsewhere": "La chiamata di {caller} ha avuto risposta su un altro dispositivo",
            "declined_elsewhere": "La chiamata di {caller} è stata rifiutata su un altro dispositivo",
            "missed": "Chiamata persa da {caller}",
            "notify": "{caller} la invita a una chiamata",
            "until": "Fino al {time} UTC",
        },
    }
)
"""By language; a locale that is not here reads English."""


def words(call: Call, kind: AlertKind, locale: str | None, stopped: StopReason | None = None) -> str:
    """One sentence about a call for one of its participants; `stopped` is why a ring is taken back."""
    return _texts(locale)[_key(call, kind, stopped)].format(
        caller=call.caller.name or call.initiator, others=max(1, len(call.legs) - 2)
    )


def until(at: datetime, locale: str | None) -> str:
    """How long something can be answered. Mails are read anywhere, so the time is UTC and the date is with it."""
    return _texts(locale)["until"].format(time=f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}")


def language(locale: str | None) -> str:
    """The language that texts for this locale are in."""
    spoken = (locale or ENGLISH).replace("_", "-").partition("-")[0].lower()
    return spoken if spoken in WORDS else ENGLISH


def _texts(locale: str | None) -> Words:
    return WORDS[language(locale)]


def _key(call: Call, kind: AlertKind, stopped: StopReason | None) -> str:
    if kind is AlertKind.STOP and stopped in {StopReason.ANSWERED_ELSEWHERE, StopReason.DECLINED_ELSEWHERE}:
        return stopped.value
    if kind in {AlertKind.STOP, AlertKind.MISSED, AlertKind.NOTIFY}:
        return kind.value
    if len(call.legs) > 2:
        return "group"
    return "ring_video" if call.call_type is CallType.AUDIO_VIDEO else "ring"
