"""What the OpenAPI promises, tried with generated requests against a real server, right ones and wrong ones."""

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from service.api.application import ROUTERS
from service.api.openapi import document
from tests.api.served import Served


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(_context, value):
    """What is no JSON: the text as it is, whatever was generated as text."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


SCHEMA = schemathesis.openapi.from_dict(document(route for router in ROUTERS for route in router.routes))
EXAMPLES = 20
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


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_service_keeps_what_its_interface_promises(case, served, call):
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
    checks = [no_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    case.validate_response(response, checks=checks)
