"""Headers of an app's own: which may be sent, how they are changed, and that their values are never told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.wire.custom_headers import (
    HIDDEN,
    MOST_HEADERS,
    CustomHeaders,
    HeaderChanges,
    hidden,
    merged,
    why_not,
    without,
)

NEW, CHANGES = TypeAdapter(CustomHeaders), TypeAdapter(HeaderChanges)

FORBIDDEN = (
    "Host Content-Length Content-Type Content-Encoding Transfer-Encoding Connection Keep-Alive TE Trailer Upgrade "
    "HTTP2-Settings Expect User-Agent Accept Accept-Encoding Date Range Proxy-Authorization Proxy-Connection "
    "webhook-id Webhook-Signature WEBHOOK-TIMESTAMP svix-id svix-signature Forwarded Via X-Forwarded-For "
    "x-forwarded-host X-Real-IP True-Client-IP CF-Connecting-IP X-Original-URL X-Rewrite-URL X-HTTP-Method-Override "
    "Sec-Fetch-Site Metadata Metadata-Flavor X-Google-Metadata-Request X-aws-ec2-metadata-token X-Hookswitch-Sender"
).split()


@pytest.mark.parametrize("name", FORBIDDEN)
def test_names_that_make_or_route_a_request_are_forbidden(name):
    assert "cannot be set" in why_not(name)
    with pytest.raises(ValidationError):
        NEW.validate_python({name: "x"})


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Api-Key", "Cookie", "x", "X_Tenant", "traceparent", "!#$%&'*+.^`|~"]
)
def test_other_names_may_be(name):
    assert NEW.validate_python({name: "x"}) == {name: "x"}


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "näme", "x" * 65, "a\0", ":path", "(x)", "a,b"])
def test_what_is_no_name(name):
    assert "token" in why_not(name)


@pytest.mark.parametrize(
    "value", ["", " x", "x ", "a\r\nInjected: 1", "a\nb", "a\tb", "ä", "x" * 1_025, "\x7f", "a\0b", HIDDEN, 1, None]
)
def test_what_is_no_value(value):
    with pytest.raises(ValidationError):
        NEW.validate_python({"X-Key": value})


def test_so_many_and_so_large_and_no_more():
    assert len(NEW.validate_python({f"X-{n}": "x" for n in range(MOST_HEADERS)})) == MOST_HEADERS
    for bad in (
        {f"X-{n}": "x" for n in range(MOST_HEADERS + 1)},
        {f"X-{n}": "x" * 1_000 for n in range(9)},
        {"X-Key": "a", "x-key": "b"},
    ):
        with pytest.raises(ValidationError):
            NEW.validate_python(bad)


def test_a_change_sets_what_it_names_whatever_the_case_and_takes_away_what_is_null():
    changes = CHANGES.validate_python({"X-KEY": "new", "x-gone": None, "X-More": "m"})
    assert merged({"X-Key": "old", "X-Gone": "g", "X-Kept": "k"}, changes) == {
        "X-Kept": "k",
        "X-KEY": "new",
        "X-More": "m",
    }
    with pytest.raises(ValueError, match="at most 20"):
        merged({f"X-{n}": "x" for n in range(MOST_HEADERS)}, {"Y": "y"})


def test_names_alone_are_told():
    assert hidden({"X-Key": "s3cret"}) == {"X-Key": HIDDEN}


@pytest.mark.parametrize(
    ("secret", "text", "left"),
    [
        ("s3cret-value", "you said s3cret-value, s3cret-value", f"you said {HIDDEN}, {HIDDEN}"),
        ("Bearer abcdef123", "token abcdef123 is wrong", f"token {HIDDEN} is wrong"),
        ("Bearer abcdef123", '{"authorization":"Bearer abcdef123"}', f'{{"authorization":"{HIDDEN}"}}'),
        ('qu"ote\\d', r'{"key":"qu\"ote\\d"}', f'{{"key":"{HIDDEN}"}}'),
        ("short", "a short one stays", "a short one stays"),
    ],
)
def test_what_a_receiver_says_back_is_hidden(secret, text, left):
    assert without([secret], text) == left


@given(st.lists(st.from_regex(r"[!-~]{6,40}", fullmatch=True), min_size=1, max_size=5), st.text(max_size=80))
def test_no_secret_is_left_in_any_text(secrets, around):
    text = without(secrets, around + around.join(secrets) + around)
    assert not any(secret in text for secret in secrets if secret not in around + HIDDEN)
