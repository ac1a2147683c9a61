"""What a person reads where a device, a mail or a message shows a notice by itself: short, in the person's language."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from service.core.calls import Call, Leg
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
            "stop_here": "The call from {caller} no longer rings here",
            "answered_elsewhere": "The call from {caller} was answered on another device",
            "declined_elsewhere": "The call from {caller} was declined on another device",
            "silenced": "The call from {caller} was silenced on another device",
            "missed": "Missed call from {caller}",
            "notify": "{caller} invites you to a call",
            "outgoing": "Your call to {caller}",
            "outgoing_group": "Your call to {caller} and {others} more",
            "outgoing_stop": "Your call to {caller} no longer rings here",
            "until": "Until {time} UTC",
        },
        "de": {
            "ring": "{caller} ruft an",
            "ring_video": "{caller} ruft mit Video an",
            "group": "{caller} ruft Sie und {others} weitere an",
            "stop": "Der Anruf von {caller} ist beendet",
            "stop_here": "Der Anruf von {caller} klingelt hier nicht mehr",
            "answered_elsewhere": "Der Anruf von {caller} wurde auf einem anderen Gerät angenommen",
            "declined_elsewhere": "Der Anruf von {caller} wurde auf einem anderen Gerät abgelehnt",
            "silenced": "Der Anruf von {caller} wurde auf einem anderen Gerät stummgeschaltet",
            "missed": "Verpasster Anruf von {caller}",
            "notify": "{caller} lädt Sie zu einem Gespräch ein",
            "outgoing": "Ihr Anruf bei {caller}",
            "outgoing_group": "Ihr Anruf bei {caller} und {others} weiteren",
            "outgoing_stop": "Ihr Anruf bei {caller} klingelt hier nicht mehr",
            "until": "Bis {time} UTC",
        },
        "es": {
            "ring": "{caller} está llamando",
            "ring_video": "{caller} está llamando con vídeo",
            "group": "{caller} le llama a usted y a {others} más",
            "stop": "La llamada de {caller} ha terminado",
            "stop_here": "La llamada de {caller} ya no suena aquí",
            "answered_elsewhere": "La llamada de {caller} se respondió en otro dispositivo",
            "declined_elsewhere": "La llamada de {caller} se rechazó en otro dispositivo",
            "silenced": "La llamada de {caller} se silenció en otro dispositivo",
            "missed": "Llamada perdida de {caller}",
            "notify": "{caller} le invita a una llamada",
            "outgoing": "Su llamada a {caller}",
            "outgoing_group": "Su llamada a {caller} y a {others} más",
            "outgoing_stop": "Su llamada a {caller} ya no suena aquí",
            "until": "Hasta {time} UTC",
        },
        "fr": {
            "ring": "{caller} vous appelle",
            "ring_video": "{caller} vous appelle en vidéo",
            "group": "{caller} vous appelle, avec {others} autres",
            "stop": "L'appel de {caller} est terminé",
            "stop_here": "L'appel de {caller} ne sonne plus ici",
            "answered_elsewhere": "L'appel de {caller} a été pris sur un autre appareil",
            "declined_elsewhere": "L'appel de {caller} a été refusé sur un autre appareil",
            "silenced": "L'appel de {caller} a été mis en sourdine sur un autre appareil",
            "missed": "Appel manqué de {caller}",
            "notify": "{caller} vous invite à un appel",
            "outgoing": "Votre appel à {caller}",
            "outgoing_group": "Votre appel à {caller} et {others} autres",
            "outgoing_stop": "Votre appel à {caller} ne sonne plus ici",
            "until": "Jusqu'au {time} UTC",
        },
        "it": {
            "ring": "{caller} sta chiamando",
            "ring_video": "{caller} sta videochiamando",
            "group": "{caller} chiama lei e altri {others}",
            "stop": "La chiamata di {caller} è terminata",
            "stop_here": "La chiamata di {caller} non squilla più qui",
            "answered_elsewhere": "La chiamata di {caller} ha avuto risposta su un altro dispositivo",
            "declined_elsewhere": "La chiamata di {caller} è stata rifiutata su un altro dispositivo",
            "silenced": "La chiamata di {caller} è stata silenziata su un altro dispositivo",
            "missed": "Chiamata persa da {caller}",
            "notify": "{caller} la invita a una chiamata",
            "outgoing": "La sua chiamata a {caller}",
            "outgoing_group": "La sua chiamata a {caller} e altri {others}",
            "outgoing_stop": "La sua chiamata a {caller} non squilla più qui",
            "until": "Fino al {time} UTC",
        },
    }
)
"""By language; a locale that is not here reads English."""


def words(call: Call, leg: Leg, kind: AlertKind, locale: str | None, stopped: StopReason | None = None) -> str:
    """One sentence about a call for one of its participants; `stopped` is why a ring is taken back."""
    shown = call.other_end(leg)
    text = _texts(locale)[_key(call, leg, kind, stopped)]
    return text.format(caller=shown.name or shown.user_id, others=max(1, call.headcount - 2))


def until(at: datetime, locale: str | None) -> str:
    """How long something can be answered. Mails are read anywhere, so the time is UTC and the date is with it."""
    return _texts(locale)["until"].format(time=f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}")


def language(locale: str | None) -> str:
    """The language that texts for this locale are in."""
    spoken = (locale or ENGLISH).replace("_", "-").partition("-")[0].lower()
    return spoken if spoken in WORDS else ENGLISH


def _texts(locale: str | None) -> Words:
    return WORDS[language(locale)]


def _key(call: Call, leg: Leg, kind: AlertKind, stopped: StopReason | None) -> str:
    if call.outgoing(leg):
        return _key_of_outgoing(call, kind)
    if kind is AlertKind.STOP and stopped in {StopReason.ANSWERED_ELSEWHERE, StopReason.DECLINED_ELSEWHERE}:
        return stopped.value
    if kind is AlertKind.SILENCE:
        return "silenced"
    if kind is AlertKind.STOP and not call.ended:
        return "stop_here"
    if kind in {AlertKind.STOP, AlertKind.MISSED, AlertKind.NOTIFY}:
        return kind.value
    if len(call.legs) > 2:
        return "group"
    return "ring_video" if call.call_type is CallType.AUDIO_VIDEO else "ring"


def _key_of_outgoing(call: Call, kind: AlertKind) -> str:
    """For the initiator, whose own phone rings before the others are dialled."""
    if kind in {AlertKind.STOP, AlertKind.SILENCE}:
        return "outgoing_stop"
    return "outgoing_group" if call.headcount > 2 else "outgoing"
