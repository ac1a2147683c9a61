"""What the OpenAPI promises, tried with generated requests against a real server, right ones and wrong ones.

`HOOKSWITCH_EXAMPLES` says how many for each operation; `make contract` takes 500.
"""

import os
from contextlib import suppress
from itertools import count

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test

from service.api.application import ROUTERS
from service.api.links import LEADS
from service.api.openapi import document
from tests.api.served import Served


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(_context, value):
    """What is no JSON: the text as it is, whatever was generated as text."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


DOCUMENT = document(route for router in ROUTERS for route in router.routes)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {found.ok().definition.raw["operationId"]: found.ok() for found in SCHEMA.get_all_operations()}
EXAMPLES = int(os.environ.get("HOOKSWITCH_EXAMPLES", "5"))
HOW = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
STEPS = 12
"""Of each walk along the links; there are as many walks as examples, and one search of them at least."""
AT_ONCE = 20
"""Walks of one search. It repeats its beginnings and wants the same answers, which a service that remembers does not
always give: then the next search begins, as in schemathesis itself."""
MADE = {
    "create_call": lambda n: {"initiator": f"walker{n}", "participants": [f"friend{n}"]},
    "create_webhook": lambda n: {"url": f"https://backend{n}.example.com/hook"},
    "put_user": lambda n: {"name": f"Walker {n}"},
}
"""Bodies that succeed, so that there is something to walk on from."""
ENOUGH_S = 60 + 6 * EXAMPLES
LONGEST_POLL_S = 30
LONGEST_WAIT_S = 1
"""Where nothing happens, a long poll waits for as long as it was asked to."""


@pytest.fixture(scope="module")
def served(postgres_server, postgres_template):
    with Served(postgres_server, postgres_template).running() as served:
        yield served


@pytest.fixture(scope="module")
def call(served):
    """A call that rings, so that not every address is empty."""
    served.run(served.front.online("ben"))
    return served.run(served.front.call("ana", "ben"))


def no_server_error(_context, response, _case):
    """No 5xx but the one that says that there is no media worker."""
    if response.status_code >= 500:
        assert (response.status_code, response.json()["code"]) == (503, "media_unavailable"), response.text


CHECKS = [no_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.timeout(ENOUGH_S)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_service_keeps_what_its_interface_promises(served, call, operation):
    """Every limit of what it takes, and generated requests besides."""

    def keeps(case):
        if "call_id" in case.path_parameters:
            case.path_parameters["call_id"] = call["id"]
        if "user_id" in case.path_parameters and len(case.path_parameters["user_id"]) % 2:
            case.path_parameters["user_id"] = "ben"
        with suppress(KeyError, TypeError, ValueError):  # as many of them are meant
            if LONGEST_WAIT_S < float(case.query["wait_s"] if case.query else 0) <= LONGEST_POLL_S:
                case.query["wait_s"] = LONGEST_WAIT_S
        response = case.call(
            base_url=served.base_url, headers={"authorization": f"Bearer {served.front.credentials.api_key}"}
        )
        case.validate_response(response, checks=CHECKS)

    # As its parametrize() does, but here: that makes all requests while it collects, in every process of the tests.
    build_operation_test(
        config=SCHEMA.config,
        operation=OPERATIONS[operation],
        test_func=keeps,
        explicit_settings=HOW,
        given_kwargs={},
        feedback=FeedbackSources(constants_value_source=None),
    )()


@pytest.mark.timeout(ENOUGH_S)
@pytest.mark.parametrize("first", ["create_call", "create_webhook"])
def test_what_an_answer_leads_to_keeps_its_promises_too(served, first):
    """Walks along the links: a call that was made is answered and ended, a webhook tested and deleted."""
    key = served.front.credentials.api_key
    numbers, followed, broken = count(), set(), []
    # What needs nothing but an id is tried with made-up ones first; a walk that begins so never comes to a call.
    walked = [first, *(name for name in LEADS[first, "201"][2] if name != "end_call")]

    class Walk(SCHEMA.include(operation_id=walked).as_state_machine()):
        def before_call(self, case):
            name = case.operation.definition.raw["operationId"]
            if name in MADE:
                case.body, case.headers = MADE[name](next(numbers)), {}

        def get_call_kwargs(self, case):
            return {"base_url": served.base_url, "headers": {"authorization": f"Bearer {key}"}}

        def validate_response(self, response, case, **_how):
            try:
                case.validate_response(response, checks=CHECKS)
            except BaseException as failure:
                broken.append(failure)
                raise
            if response.status_code < 300:
                followed.add(case.operation.definition.raw["operationId"])

    walks = {"max_examples": AT_ONCE, "stateful_step_count": STEPS, "deadline": None, "database": None}
    how = settings(**walks, suppress_health_check=list(HealthCheck))
    for search in range(max(1, EXAMPLES // AT_ONCE)):
        with suppress(FlakyStrategyDefinition):
            run_state_machine_as_test(seed(search)(Walk), settings=how)
        assert not broken, broken[0]
    assert len(followed & set(walked[1:])) > 1, sorted(followed)
