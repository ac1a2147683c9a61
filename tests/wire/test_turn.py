"""TURN credentials, by the numbers; whether a TURN server takes them is in stories/test_turn.py."""

import base64
import hashlib
import hmac

import pytest

from service.config import SettingsError, load_settings
from service.wire.ice import IceConfig, IceServer
from service.wire.turn import LONGEST_NAME, TurnConfig, turn_credential, turn_user

URLS = ("turn:turn.example.com:3478?transport=udp", "turns:turn.example.com:5349?transport=tcp")


def test_the_password_is_the_signature_of_the_name():
    username, password = turn_credential("secret", "ann", 1_800_000_000)
    assert username == "1800000000:ann"
    signed = hmac.new(b"secret", b"1800000000:ann", hashlib.sha1).digest()
    assert password == base64.b64encode(signed).decode()


def test_a_name_is_plain_and_short_and_nobody_elses():
    users = ["ann", "o'neil", "a b", "größe", "😀" * 128, "😀" * 127, "a%20b", 'a"b']
    names = [turn_user(user) for user in users]
    assert names[0] == "ann"
    assert len(set(names)) == len(users)
    for name in names:
        assert name.isascii()
        assert not set(name) & set(" '\"\\\t")
        assert len(name) <= LONGEST_NAME


def test_everybody_is_told_the_fixed_servers_and_a_credential_of_their_own():
    stun = IceServer(urls=("stun:stun.example.com",))
    ice = IceConfig((stun,), 3_600, TurnConfig(URLS, ("new", "old"), 600))
    first, own = ice.servers_for("ann", 1_000.9)
    assert first == stun
    assert own.urls == URLS
    assert (own.username, own.credential) == turn_credential("new", "ann", 1_600)
    assert ice.good_until(1_000) == 1_600
    assert IceConfig((stun,), 3_600).servers_for("ann", 1_000) == [stun]
    assert IceConfig((stun,), 3_600).good_until(1_000) == 4_600
    assert "new" not in repr(ice)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"turn_urls": "turn:turn.example.com"}, "HOOKSWITCH_TURN_URLS needs a secret"),
        ({"turn_urls": "stun:stun.example.com", "turn_secrets": "x"}, "turn.urls"),
        ({"turn_ttl_s": 5}, "at least 60"),
    ],
)
def test_settings_that_would_let_nobody_in_are_refused(given, told):
    with pytest.raises(SettingsError, match=told) as refused:
        load_settings(**given)
    assert "x'" not in str(refused.value)


def test_settings_are_lists_with_commas():
    settings = load_settings(turn_urls=", ".join(URLS), turn_secrets="new, old", turn_ttl_s=60)
    assert settings.ice().turn == TurnConfig(URLS, ("new", "old"), 60)
    assert "old" not in repr(settings)
