"""Of all that apprise can do, only messages to people, and only where somebody can say where they go."""

import pytest
from apprise import Apprise, AppriseAsset, NotificationManager

from service.wire.apprise import ELSEWHERE, IN_THE_HOUSE, apprise_url, check_apprise

LOCAL = (
    "dbus:// qt:// kde:// glib:// gio:// gnome:// macosx:// windows:// syslog:// rsyslog://127.0.0.1 blink1:// "
    "file:///etc/passwd aprs://user:pass@CALL mailto://user:pass@example.com?smtp=127.0.0.1 mqtt://127.0.0.1 "
    "vapid://a@b.c?keyfile=/etc/passwd fcm://project/token?keyfile=/etc/passwd kodi://127.0.0.1 apprise://127.0.0.1/x "
    "smpp://u:p@127.0.0.1 amqp://127.0.0.1 irc://127.0.0.1 xmpp://u:p@127.0.0.1 growl://127.0.0.1 unknown://x"
).split()


def library():
    manager = NotificationManager()
    manager.load_modules()
    return manager


@pytest.mark.parametrize("url", LOCAL)
@pytest.mark.parametrize("allow_private", [False, True])
def test_what_touches_this_machine_is_refused(url, allow_private):
    with pytest.raises(ValueError, match="is not a service that messages go by"):
        check_apprise(url, allow_private=allow_private)


@pytest.mark.parametrize("url", ["json://127.0.0.1/x", "ntfys://ntfy.example/x", "SIGNAL://10.0.0.1/a/b", "xml://h"])
def test_gateways_that_the_url_names_need_the_setting(url):
    with pytest.raises(ValueError, match="leads to where nobody can check"):
        check_apprise(url)
    check_apprise(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "tgram://123456789:abcdefg_hijklmnop/12315544/?template=/etc/passwd",
        "slack://TokenA/TokenB/TokenC/?Template=file:///etc/passwd",
        "twilio://sid:token@+15551234567/{phone}?redirect=yes",
        "twilio://sid:token@+15551234567/{phone}?verify=no",
        "twilio://sid:token@+15551234567/{phone}?a=b&rto=3600",
        "twilio://sid:token@+15551234567/{phone}?%72etry=10",
    ],
)
def test_arguments_that_read_files_or_hold_threads_are_refused(url):
    with pytest.raises(ValueError, match="is not for others to choose"):
        check_apprise(url)


@pytest.mark.parametrize("url", ["", "twilio", "twilio:", "://x", "tw ilio://x", "twilio://a b", "тв://x"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match="does not begin with the name of a service"):
        check_apprise(url)


def test_the_number_goes_in_quoted():
    url = "twilio://AC:token@+15551234567/{phone}"
    check_apprise(url)
    assert apprise_url(url, "+49 30/1?x=#") == "twilio://AC:token@+15551234567/%2B49%2030%2F1%3Fx%3D%23"
    assert apprise_url(url, None) is None
    assert apprise_url("slack://a/b/c", None) == "slack://a/b/c"


def test_every_service_of_the_lists_is_one_of_apprise_and_those_elsewhere_take_no_host_from_the_url():
    services = library()
    assert {name for name in ELSEWHERE | IN_THE_HOUSE if name not in services} == set()
    assert {name for name in ELSEWHERE if any("{host}" in form for form in services[name].templates)} == set()


def test_a_number_in_a_real_url_reaches_the_service_as_its_target():
    url = apprise_url(f"twilio://AC{'a' * 32}:{'b' * 32}@+15551234567/{{phone}}", "+49 30 123456")
    service = Apprise.instantiate(url, asset=AppriseAsset(http_redirects=False))
    assert service.redirects is False
    assert "4930123456" in "".join(filter(str.isdigit, str(service.targets)))
