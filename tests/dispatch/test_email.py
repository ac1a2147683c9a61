"""Mails: what they say, what becomes of each "no", and that no mail server does harm."""

import asyncio
import base64
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.vocabulary import AlertKind, Channel
from service.dispatch.guard import Guard, SystemResolver
from service.dispatch.push.channel import Outcome
from service.dispatch.push.email import EmailChannel, EmailConfig
from service.dispatch.push.mime import letter, mailbox
from service.wire.credentials import Granted
from tests.dispatch.notices import NOW, by_mail, notice
from tests.dispatch.receiver import dribble, hang, vanish
from tests.fakes.mailroom import PASSWORD, USER, mail_server
from tests.fixtures.certificates import certificate


async def here(host, port):
    return ["127.0.0.1"]


def channel(resolve=None, tls=None, *, allow_private=True, **how):
    return EmailChannel(Guard(resolve or SystemResolver(), allow_private=allow_private), EmailConfig(**how), tls)


async def sent(server, said=None, **how):
    return await channel(**how).send(said or notice(), by_mail(server.port), NOW)


def text_of(mail):
    return mail.get_body(("plain",)).get_content().splitlines()


async def test_a_ring_by_mail_says_what_happened_until_when_and_where():
    async with mail_server() as server:
        receipt = await sent(server)
    (mail,) = server.mails
    assert (receipt.outcome, receipt.status) == (Outcome.TAKEN, 250)
    assert receipt.provider_id == mail["message-id"] == "<4f6c7c1e-0000-5000-8000-000000000001@example.com>"
    assert "queued as 4711" in receipt.detail
    assert (mail["from"], mail["to"], mail["subject"]) == ("calls@example.com", "bob@example.com", "Ann is calling")
    assert mail["auto-submitted"] == "auto-generated"
    assert mail["date"].datetime == datetime(2026, 11, 20, 8, 15, 30, tzinfo=UTC)
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert text_of(mail) == [
        "Ann is calling",
        "",
        "Until 2026-11-20 08:16:15 UTC",
        "",
        "https://calls.example.com/v1/rings/7",
    ]
    page = mail.get_body(("html",)).get_content()
    assert '<a href="https://calls.example.com/v1/rings/7">' in page
    assert "Until 2026-11-20 08:16:15 UTC" in page
    assert server.greetings == ["[127.0.0.1]"]


async def test_the_person_s_language_and_letters():
    said = notice(title="Zoë Ünal ruft an", body="Bitte\nrangehen <b>", locale="de-AT", email="bob@bücher.example")
    async with mail_server() as server:
        assert (await sent(server, said)).taken
    (mail,) = server.mails
    assert mail["subject"] == "Zoë Ünal ruft an"
    assert mail["to"] == "bob@xn--bcher-kva.example"
    assert server.envelopes[0].rcpt_tos == ["bob@xn--bcher-kva.example"]
    assert "Bis 2026-11-20 08:16:15 UTC" in text_of(mail)
    page = mail.get_body(("html",)).get_content()
    assert '<html lang="de">' in page
    assert "Bitte<br>rangehen &lt;b&gt;" in page
    assert server.envelopes[0].content.isascii()


async def test_an_address_in_other_letters_goes_where_the_server_takes_it():
    async with mail_server() as server:
        assert (await sent(server, notice(email="zoë@example.com"))).taken
    assert server.envelopes[0].rcpt_tos == ["zoë@example.com"]
    assert "SMTPUTF8" in server.envelopes[0].mail_options


async def test_what_was_missed_has_no_end_and_no_link():
    async with mail_server() as server:
        await sent(server, notice(AlertKind.MISSED, {"v": 1}, title="Missed call from Ann"))
    assert text_of(server.mails[0]) == ["Missed call from Ann"]


@given(st.text(), st.text(), st.text())
def test_nothing_from_outside_adds_a_header_or_an_element(title, body, link):
    said = notice(title=title, body=body, payload={"links": {"state": f"https://x.example/{link}"}})
    mail = letter(said, mailbox("calls@example.com"), mailbox("bob@example.com"), NOW)
    head, _, _ = mail.as_bytes().partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert names == b"From To Subject Date Message-ID Auto-Submitted MIME-Version Content-Type".split()
    page = mail.get_body(("html",)).get_content()
    assert page.count("<a ") == 1
    assert page.count("<p>") == 2 + bool(body.strip())


@pytest.mark.parametrize(
    ("says", "outcome", "reason"),
    [
        ({"RCPT": ["451 4.7.1 Greylisted, come back"]}, Outcome.LATER, "451 4.7.1"),
        ({"RCPT": ["452 too many"]}, Outcome.LATER, "452"),
        ({"DATA": ["451 4.3.0 later"]}, Outcome.LATER, "451 4.3.0"),
        ({"MAIL": ["421 4.4.2 busy"]}, Outcome.LATER, "421 4.4.2"),
        ({"RCPT": ["550 5.1.1 no such user here"]}, Outcome.REFUSED, "550 5.1.1"),
        ({"RCPT": ["553 no"]}, Outcome.REFUSED, "553"),
        ({"DATA": ["554 5.7.1 looks like junk"]}, Outcome.REFUSED, "554 5.7.1"),
        ({"MAIL": ["553 5.7.1 not your address"]}, Outcome.MISCONFIGURED, "553 5.7.1"),
        ({"MAIL": ["530 5.7.0 sign in first"]}, Outcome.MISCONFIGURED, "not_signed_in"),
    ],
)
async def test_each_no_means_later_never_or_the_app_s_to_repair(says, outcome, reason):
    ((said,),) = says.values()
    async with mail_server(**says) as server:
        receipt = await sent(server)
    assert (receipt.outcome, receipt.reason) == (outcome, reason)
    assert str(receipt.status) == said[:3]
    assert server.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_encrypted_and_signed_in_to_the_name_at_the_address_that_was_checked(tmp_path, security):
    theirs, ours = certificate(tmp_path, "mail.example")
    names = []
    theirs.sni_callback = lambda _socket, name, _context: names.append(name)
    async with mail_server(tls=theirs, at_once=security == "tls", sign_in=True) as server:
        granted = by_mail(server.port, host="mail.example", security=security, username=USER, password=PASSWORD)
        receipt = await channel(here, ours).send(notice(), granted, NOW)
    assert receipt.taken, receipt
    assert names == ["mail.example"]
    assert server.sign_ins[-1][1:] == (USER, PASSWORD)
    assert len(server.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_stranger_s_certificate_gets_neither_mail_nor_password(tmp_path, security):
    theirs, _ours = certificate(tmp_path, "mail.example")
    async with mail_server(tls=theirs, at_once=security == "tls", sign_in=True) as server:
        granted = by_mail(server.port, host="mail.example", security=security, username=USER, password=PASSWORD)
        receipt = await channel(here).send(notice(), granted, NOW)
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "tls_failed")
    assert "certificate" in receipt.detail
    assert server.sign_ins == []


async def test_a_server_without_starttls_gets_nothing():
    async with mail_server() as server:
        granted = by_mail(server.port, security="starttls", username=USER, password=PASSWORD)
        receipt = await channel().send(notice(), granted, NOW)
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "not_offered")
    assert "STARTTLS" in receipt.detail
    assert server.mails == []


async def test_a_wrong_password_is_the_app_s_to_repair_and_told_nowhere(tmp_path):
    theirs, ours = certificate(tmp_path, "mail.example")
    async with mail_server(tls=theirs, sign_in=True) as server:
        granted = by_mail(server.port, host="mail.example", security="starttls", username=USER, password="not this one")
        receipt = await channel(here, ours).send(notice(), granted, NOW)
    assert (receipt.outcome, receipt.status, receipt.reason) == (Outcome.MISCONFIGURED, 535, "not_signed_in")
    assert "not this one" not in repr(receipt)
    assert server.mails == []


@pytest.mark.parametrize(
    ("says", "password", "told"),
    [
        ({}, PASSWORD, "the server takes mail of calls@example.com"),
        ({}, "a wrong one", "the mail server refused the sign-in (535 5.7.8)"),
        ({"MAIL": ["550 5.7.1 not yours"]}, PASSWORD, "the mail server refused the sender: 5.7.1 not yours"),
        ({"MAIL": ["451 4.3.0 later"]}, PASSWORD, "4.3.0 later"),
    ],
)
async def test_the_doctor_hears_whether_the_server_takes_the_app_s_mail_and_no_mail_is_sent(
    tmp_path, says, password, told
):
    theirs, ours = certificate(tmp_path, "mail.example")
    async with mail_server(tls=theirs, sign_in=True, **says) as server:
        granted = by_mail(server.port, host="mail.example", security="starttls", username=USER, password=password)
        found = await channel(here, ours).check(granted, NOW)
    assert found.text == f"e-mail (production), mail.example:{server.port}: {told}"
    assert found.fault is (told != "the server takes mail of calls@example.com")
    assert server.mails == []


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"host": "10.1.2.3"}, "leads to no public address (private)"),
        ({"sender": "x x@example.com"}, "cannot take that address"),
        ({"port": 22}, "belongs to another kind of server"),
    ],
)
async def test_the_doctor_hears_what_no_mail_can_go_by(how, told):
    credentials = by_mail(25).body.model_copy(update=how)
    found = await channel(allow_private=False).check(Granted("app", Channel.EMAIL, "production", credentials), NOW)
    assert found.fault
    assert told in found.text


async def test_no_private_address_is_connected_to_without_the_setting():
    async with mail_server() as server:
        granted = by_mail(server.port, host="mail.example")
        receipt = await channel(here, allow_private=False).send(notice(), granted, NOW)
        assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "forbidden_address")
        assert receipt.detail == "mail.example leads to no public address (loopback)"
        literal = await channel(allow_private=False).send(notice(), by_mail(server.port), NOW)
        assert literal.reason == "forbidden_address"
    assert server.greetings == []


@pytest.mark.parametrize("port", [22, 80, 443, 110, 1])
async def test_ports_of_other_servers_are_not_knocked_at(port):
    receipt = await channel(here).send(notice(), by_mail(port), NOW)
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "forbidden_address")


@pytest.mark.parametrize(
    "email", ["bob", "@example.com", "bob@", "a,b@example.com", "bob@" + "ü" * 80, "b(o)b@x.y", ""]
)
async def test_what_is_no_address_is_refused(email):
    async with mail_server() as server:
        receipt = await sent(server, notice(email=email))
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "bad_address")
    assert server.mails == []


@asynccontextmanager
async def odd_server(behaviour):
    tasks = set()

    async def connected(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await behaviour(None, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def not_mail(_request, _reader, writer):
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def full(_request, _reader, writer):
    writer.write(b"421 4.7.0 too many connections\r\n")
    await writer.drain()


async def closed(_request, _reader, writer):
    writer.write(b"554 no mail here\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason"),
    [
        (hang, Outcome.LATER, "no_answer"),
        (vanish, Outcome.LATER, "no_connection"),
        (dribble(b"220-", b"x"), Outcome.LATER, "no_answer"),
        (dribble(b"", b"220-x\r\n"), Outcome.LATER, "no_answer"),
        (full, Outcome.LATER, "421 4.7.0"),
        (closed, Outcome.REFUSED, "554"),
    ],
)
async def test_however_it_behaves_the_try_is_over_in_its_time(behaviour, outcome, reason):
    async with odd_server(behaviour) as port:
        receipt = await channel(timeout_s=0.3).send(notice(), by_mail(port), NOW)
    assert (receipt.outcome, receipt.reason) == (outcome, reason)
    assert receipt.latency_ms < 2_000


async def test_what_speaks_no_smtp_is_not_taken_for_success():
    async with odd_server(not_mail) as port:
        receipt = await channel(timeout_s=0.3).send(notice(), by_mail(port), NOW)
    assert receipt.outcome is Outcome.LATER


async def test_a_port_where_nobody_listens_is_later():
    async with mail_server() as server:
        port = server.port
    receipt = await channel().send(notice(), by_mail(port), NOW)
    assert (receipt.outcome, receipt.reason, receipt.detail) == (
        Outcome.LATER, "no_connection", "Connection refused"
    )  # fmt: skip


def conversation(heard, *answers):
    """Says the next answer to each line, and to a mail, then nothing any more."""

    async def talk(_request, reader, writer):
        for answer in answers:
            writer.write(answer.encode() + b"\r\n")
            end = b"\r\n.\r\n" if answer.startswith("354") else b"\r\n"
            heard.append((await reader.readuntil(end)).decode().rstrip())
        await reader.read()

    return talk


async def test_a_server_that_does_not_say_goodbye_has_the_mail_all_the_same():
    heard = []
    talk = conversation(heard, "220 x", "250 x", "250 ok", "250 ok", "354 go on", "250 2.0.0 have it")
    async with odd_server(talk) as port:
        receipt = await channel(timeout_s=5).send(notice(), by_mail(port), NOW)
    assert receipt.taken
    assert receipt.latency_ms < 3_000
    assert heard[-1] == "QUIT"


async def test_where_nothing_is_encrypted_the_password_is_not_shown_if_that_can_be_helped():
    heard = []
    talk = conversation(heard, "220 x", "250-x\r\n250 AUTH PLAIN CRAM-MD5", "334 PDFAeD4=", "535 5.7.8 no")
    async with odd_server(talk) as port:
        receipt = await channel(timeout_s=5).send(notice(), by_mail(port, username=USER, password=PASSWORD), NOW)
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "not_signed_in")
    assert heard[1] == "AUTH CRAM-MD5"
    assert PASSWORD not in base64.b64decode(heard[2]).decode()
    assert len(heard) == 3, "one try, so that nobody is locked out"


async def test_a_way_to_sign_in_that_a_server_only_says_it_knows():
    heard = []
    talk = conversation(
        heard, "220 x", "250-x\r\n250 AUTH PLAIN LOGIN", "504 what?", "334 UGFzc3dvcmQ6", "535 no", "221 bye"
    )
    async with odd_server(talk) as port:
        receipt = await channel(timeout_s=5).send(notice(), by_mail(port, username=USER, password=PASSWORD), NOW)
    assert receipt.reason == "not_signed_in"
    assert [line.partition(" ")[0] for line in heard[1:3]] == ["AUTH", "AUTH"]
    assert heard[2].startswith("AUTH LOGIN")


async def test_a_server_that_lets_nobody_sign_in_is_not_what_the_credentials_are_for():
    async with odd_server(conversation([], "220 x", "250 x")) as port:
        receipt = await channel(timeout_s=5).send(notice(), by_mail(port, username=USER, password=PASSWORD), NOW)
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "not_offered")


async def test_no_more_mails_at_a_time_than_a_server_bears():
    gate = asyncio.Event()
    async with mail_server(MAIL=[gate] * 2) as server:
        mailer = channel(per_host=2)
        tries = [asyncio.create_task(mailer.send(notice(), by_mail(server.port), NOW)) for _ in range(6)]
        await server.arrived.wait()
        gate.set()
        assert [receipt.outcome for receipt in await asyncio.gather(*tries)] == [Outcome.TAKEN] * 6
    assert server.most_inside <= 2
    assert mailer._rooms == {}  # noqa: SLF001 - nothing may pile up there


async def test_a_try_that_is_given_up_leaves_no_connection_and_no_place_taken():
    gate = asyncio.Event()
    async with mail_server(MAIL=[gate]) as server:
        mailer = channel(per_host=1)
        first = asyncio.create_task(mailer.send(notice(), by_mail(server.port), NOW))
        await server.arrived.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (await mailer.send(notice(), by_mail(server.port), NOW)).taken
