"""What providers say may hold what nobody may read."""

import pytest

from service.wire.masking import LONGEST, masked, masked_name

UUID = "019a9f3c-55ab-7c3e-9d21-6f0a4b1c2d3e"
TOKEN = "dGhpcy1pcy1hLXB1c2gtdG9rZW4-b2YtYS1waG9uZQ"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (None, None),
        ("410 Unregistered", "410 Unregistered"),
        ("no route to https://push.example.com/send/abc?key=1 today", "no route to push.example.com today"),
        ("https://user:word@push.example.com:8443/x", "push.example.com:8443"),
        ("<ben.miller@example.org>: mailbox full", "<b…@example.org>: mailbox full"),
        ("550 no such user: ben@example.org", "550 no such user: b…@example.org"),
        ("+49 170 1234567 is no number", "…67 is no number"),
        ("0170 123 45 67", "…67"),
        ("call 491701234567 failed", "call …67 failed"),
        (f"unknown token {TOKEN}", "unknown token …"),
        (f"apns-id {UUID}", f"apns-id {UUID}"),
        ("the app has no credentials for fcm (production)", "the app has no credentials for fcm (production)"),
        ("at 2026-11-20T08:15:30.123Z", "at 2026-11-20T08:15:30.123Z"),
    ],
)
def test_masked(said, shown):
    assert masked(said) == shown


def test_a_long_answer_is_cut():
    assert len(masked("so many words " * 100)) == LONGEST + 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (None, None),
        (UUID, UUID),
        ("projects/shop/messages/0:1500415314455276%31bd1c96", "projects/shop/messages/0:1500415314455276%31bd1c96"),
        ("https://push.example.com/m/gAAAAABk", "push.example.com"),
        ("2.0.0 queued for ben@example.org", "2.0.0 queued for b…@example.org"),
    ],
)
def test_a_providers_name_for_what_it_took(name, shown):
    assert masked_name(name) == shown
