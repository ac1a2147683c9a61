"""Who may do what, written out a second time."""

from datetime import UTC, datetime

import pytest

from service.core.calls import Actor, Call, Leg, Policy
from service.core.refusals import Code, Refusal
from service.core.rights import (
    Credential,
    Grants,
    Principal,
    TokenKind,
    acting_device,
    acting_user,
    grants_of,
    is_revoked,
    may_alert,
    may_change_user,
    may_dial,
    may_join,
    may_moderate,
    may_publish,
    may_read_user,
    may_see,
    may_see_company,
    may_see_presence,
    may_signal,
    role_given,
)
from service.core.vocabulary import ActorType, CallType, LegState, Role, Topology

AT = datetime(2026, 11, 20, tzinfo=UTC)
KEY = Principal(Credential.API_KEY, "app", "key_1")


def user(user_id="ana", **claims):
    return Principal(Credential.USER, "app", user_id, user_id=user_id, **claims)


def ring(user_id="ben", call_id="c1"):
    return Principal(Credential.RING, "app", "r1", user_id=user_id, device_id="d1", call_id=call_id)


def call(*legs, app_id="app", call_id="c1"):
    made = Call(call_id, app_id, "ana", CallType.AUDIO_VIDEO, Topology.RELAYED, Policy(), AT, AT)
    made.legs = [Leg(user_id, role, state, AT) for user_id, role, state in legs]
    return made


TWO = call(("ana", Role.PUBLISHER, LegState.ANSWERED), ("ben", Role.MODERATOR, LegState.INVITED))


def code(verdict):
    return verdict.code if isinstance(verdict, Refusal) else verdict


def test_what_roles_grant():
    assert grants_of(Role.MODERATOR) == Grants(record=True, moderate=True)
    assert grants_of(Role.PUBLISHER) == Grants(True, True, True, False, False)
    assert grants_of(Role.SUBSCRIBER) == Grants(publish=False, subscribe=True, signal=False)


@pytest.mark.parametrize(
    ("own", "asked", "given"),
    [
        (Role.MODERATOR, Role.MODERATOR, Role.MODERATOR),
        (Role.MODERATOR, None, Role.PUBLISHER),
        (Role.PUBLISHER, Role.MODERATOR, Code.NOT_AUTHORIZED),
        (Role.PUBLISHER, Role.PUBLISHER, Role.PUBLISHER),
        (Role.PUBLISHER, Role.SUBSCRIBER, Role.SUBSCRIBER),
        (Role.PUBLISHER, None, Role.PUBLISHER),
        (Role.SUBSCRIBER, Role.PUBLISHER, Code.NOT_AUTHORIZED),
        (Role.SUBSCRIBER, Role.SUBSCRIBER, Role.SUBSCRIBER),
        (Role.SUBSCRIBER, None, Role.SUBSCRIBER),
    ],
)
def test_nobody_gives_a_role_above_their_own(own, asked, given):
    assert code(role_given(user(role=own), asked)) == given


def test_a_backend_gives_any_role():
    assert [role_given(KEY, role) for role in (*Role, None)] == [*Role, Role.PUBLISHER]


def test_38_tokens_from_before_a_removal_are_revoked():
    made = call(("ana", Role.PUBLISHER, LegState.REMOVED), ("ben", Role.PUBLISHER, LegState.ANSWERED))
    made.leg("ana").tokens_from = AT
    before, after = AT.timestamp() - 0.001, AT.timestamp()
    assert is_revoked(user(call_id="c1", issued_at=before), made)
    assert is_revoked(user(call_id="c1"), made)
    assert not is_revoked(user(call_id="c1", issued_at=after), made)
    assert not is_revoked(user(call_id="c2", issued_at=before), made)
    assert not is_revoked(user(issued_at=before), made)
    assert not is_revoked(user("ben", call_id="c1", issued_at=before), made)
    assert not is_revoked(KEY, made)


def test_who_is_written_down():
    assert KEY.actor == Actor(ActorType.API, "key_1")
    assert user().actor == Actor(ActorType.USER, "ana")
    assert ring().actor == Actor(ActorType.DEVICE, "d1")
    assert len({KEY.scope, user("key_1").scope, ring().scope}) == 3


@pytest.mark.parametrize(
    ("principal", "asked", "otherwise", "verdict"),
    [
        (KEY, "ben", None, "ben"),
        (KEY, "ben", "ana", "ben"),
        (KEY, None, "ana", "ana"),
        (KEY, None, None, Code.INVALID_REQUEST),
        (user(), None, None, "ana"),
        (user(), "ana", None, "ana"),
        (user(), None, "ben", "ana"),
        (user(), "ben", None, Code.NOT_AUTHORIZED),
        (ring(), None, None, "ben"),
        (ring(), "ana", None, Code.NOT_AUTHORIZED),
    ],
)
def test_whose_act_it_is(principal, asked, otherwise, verdict):
    assert code(acting_user(principal, asked, otherwise)) == verdict


@pytest.mark.parametrize(
    ("principal", "asked", "verdict"),
    [
        (KEY, "d2", "d2"),
        (KEY, None, None),
        (user(), "d2", "d2"),
        (user(device_id="d1"), None, "d1"),
        (user(device_id="d1"), "d1", "d1"),
        (user(device_id="d1"), "d2", Code.NOT_AUTHORIZED),
        (ring(), "d2", Code.NOT_AUTHORIZED),
    ],
)
def test_on_which_device(principal, asked, verdict):
    assert code(acting_device(principal, asked)) == verdict


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        (KEY, True),
        (user(), True),
        (user(kind=TokenKind.TV), True),
        (user(kind=TokenKind.GUEST), False),
        (user(call_id="c1"), False),
        (ring(), False),
    ],
)
def test_who_dials(principal, allowed):
    assert (may_dial(principal) is None) is allowed


@pytest.mark.parametrize(
    ("principal", "seen", "joined"),
    [
        (KEY, True, True),
        (user("ana"), True, True),
        (user("eve"), False, False),
        (user("eve", call_id="c1"), False, True),
        (user("eve", call_id="c2"), False, False),
        (user("ana", call_id="c1"), True, True),
        (user("ana", call_id="c2"), False, False),
        (ring("ben"), True, True),
        (ring("ben", call_id="c2"), False, False),
        (Principal(Credential.API_KEY, "other", "key_2"), False, False),
        (Principal(Credential.USER, "other", "ana", user_id="ana", call_id="c1"), False, False),
    ],
)
def test_who_sees_a_call_and_who_may_come_in(principal, seen, joined):
    assert may_see(principal, TWO) is seen
    assert may_join(principal, TWO) is joined


@pytest.mark.parametrize(
    ("principal", "verdict"),
    [
        (KEY, None),
        (user("ana"), Code.NOT_AUTHORIZED),
        (user("ana", role=Role.MODERATOR, grants=grants_of(Role.MODERATOR)), None),
        (user("ana", grants=Grants(moderate=True)), None),
        (user("ben"), None),
        (user("eve", grants=Grants(moderate=True)), Code.NOT_PARTICIPANT),
    ],
)
def test_who_moderates(principal, verdict):
    assert code(may_moderate(principal, TWO)) == verdict


def test_who_was_removed_moderates_no_more():
    removed = call(("ana", Role.PUBLISHER, LegState.ANSWERED), ("ben", Role.MODERATOR, LegState.REMOVED))
    assert code(may_moderate(user("ben"), removed)) is Code.NOT_PARTICIPANT


def test_who_signals_and_publishes():
    silent = user(grants=grants_of(Role.SUBSCRIBER))
    assert code(may_signal(silent)) is Code.NOT_AUTHORIZED
    assert code(may_publish(silent)) is Code.MEDIA_PERMISSION_DENIED
    for principal in (KEY, user(), user(grants=Grants(moderate=True))):
        assert may_signal(principal) is None
        assert may_publish(principal) is None


@pytest.mark.parametrize(
    ("principal", "reads", "changes"),
    [
        (KEY, True, True),
        (user(), True, True),
        (user("ben"), False, False),
        (ring("ana"), False, False),
        (user(call_id="c1"), True, False),
        (user(kind=TokenKind.GUEST), True, False),
        (user("ben", kind=TokenKind.GUEST), False, False),
    ],
)
def test_who_reads_and_changes_a_user(principal, reads, changes):
    assert (may_read_user(principal, "ana") is None) is reads
    assert (may_change_user(principal, "ana") is None) is changes


@pytest.mark.parametrize(
    ("principal", "sees", "company"),
    [
        (KEY, True, True),
        (user(), True, True),
        (user("ben"), True, False),
        (user(call_id="c1"), True, True),
        (user("ben", call_id="c1"), False, False),
        (user(kind=TokenKind.GUEST), True, True),
        (user("ben", kind=TokenKind.GUEST), False, False),
        (ring("ana"), False, False),
    ],
)
def test_who_sees_whose_presence_and_with_whom_they_are_busy(principal, sees, company):
    assert (may_see_presence(principal, "ana") is None) is sees
    assert may_see_company(principal, "ana", "backend") is company
    assert may_see_company(principal, "ana", "users")


@pytest.mark.parametrize(
    ("principal", "alerted"), [(KEY, True), (user(), True), (ring(), True), (user(kind=TokenKind.GUEST), False)]
)
def test_whose_device_may_say_that_it_rings(principal, alerted):
    assert (may_alert(principal) is None) is alerted


WATCHER = user(grants=grants_of(Role.SUBSCRIBER))


@pytest.mark.parametrize(
    ("verdict", "said", "detail"),
    [
        (lambda: acting_user(user(), "ben"), "not_authorized", "this token acts for its own user only"),
        (lambda: acting_user(KEY, None), "invalid_request", "user_id: an API key has to say for which user it acts"),
        (lambda: acting_device(ring(), "d2"), "not_authorized", "this token acts for its own device only"),
        (lambda: may_dial(user(call_id="c1")), "not_authorized", "this token cannot start a call"),
        (
            lambda: may_alert(user(kind=TokenKind.GUEST)),
            "not_authorized",
            "guests are not rung; join the call instead",
        ),
        (lambda: may_moderate(user("zoe"), TWO), "not_participant", "you are not in this call"),
        (lambda: may_moderate(user(), TWO), "not_authorized", "only a moderator of the call or an API key may do this"),
        (lambda: may_signal(WATCHER), "not_authorized", "this token does not grant signals"),
        (lambda: may_publish(WATCHER), "media_permission_denied", "this token does not grant publishing"),
        (lambda: may_read_user(user(), "ben"), "not_authorized", "this token is for its own user only"),
        (
            lambda: may_change_user(user(call_id="c1"), "ana"),
            "not_authorized",
            "a token for one call, or of a guest, changes nothing of its user",
        ),
    ],
)
def test_a_no_says_why(verdict, said, detail):
    assert verdict() == Refusal(Code(said), detail)
