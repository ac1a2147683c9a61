"""The OpenAPI: what is in the repository is what the sources say, and every example is as its shape demands."""

import pytest
import yaml
from jsonschema.validators import Draft202012Validator
from openapi_spec_validator import validate
from pydantic import BaseModel
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from service.api.errors import STATUS
from service.api.schema import FOLDER, files
from service.core.refusals import Code
from service.wire import requests
from service.wire.event_types import EVENT_TYPES, PASSING_TYPES
from service.wire.feed import hash_of
from tests.api.front import problem

NO_CREDENTIAL = {"/healthz", "/readyz", "/openapi.json"}


@pytest.fixture(scope="module")
def document():
    return yaml.safe_load(files()["openapi.yaml"])


def operations(document):
    return [(path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()]


def validator(document, name):
    registry = Registry().with_resource("urn:openapi", Resource.from_contents(document, DRAFT202012))
    return Draft202012Validator({"$ref": f"urn:openapi#/components/schemas/{name}"}, registry=registry)


@pytest.mark.parametrize("name", sorted(files()))
def test_the_file_says_what_the_sources_say(name):
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == files()[name], f"openapi/{name} is out of date: make openapi"


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_every_operation_has_a_name_of_its_own_a_summary_and_credentials(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)) > 40
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["tags"], (path, method)
        assert bool(operation["security"]) is (path not in NO_CREDENTIAL), (path, method)


def test_every_code_is_told_with_its_status(document):
    told = set()
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            name = response["$ref"].rpartition("/")[2]
            shape = document["components"]["responses"][name]["content"]["application/problem+json"]["schema"]
            codes = shape["properties"]["code"]["enum"]
            assert {STATUS[Code(code)] for code in codes} == {int(status)}
            told |= set(codes)
    assert told == set(Code) - {Code.METHOD_NOT_ALLOWED}


def test_every_event_is_a_webhook(document):
    assert list(document["webhooks"]) == [name for name in EVENT_TYPES if name not in PASSING_TYPES]


def test_every_example_fits_its_shape(document):
    shapes = document["components"]["schemas"]
    given = [(name, example) for name, shape in shapes.items() for example in shape.get("examples", ())]
    assert len(given) > 20
    for name, example in given:
        validator(document, name).validate(example)
        model = getattr(requests, name, None)
        if isinstance(model, type) and issubclass(model, BaseModel):
            model.model_validate(example)


def test_the_example_of_an_event_closes_its_chain(document):
    event = document["components"]["schemas"]["CallEvent"]["examples"][0]
    assert event["data"]["hash"] == hash_of(event)


async def test_answers_fit_their_shapes(front, document):
    await front.online("ben")
    call = await front.call("ana", "ben", custom={"n": 1})
    url = f"/calls/{call['id']}"
    ring_id, phone = await front.ring(call["id"], "ben")
    answers = [("RingAnswer", await phone.get(f"/v1/rings/{ring_id}"))]
    answers.append(("JoinedAnswer", await front.post(f"{url}/answer", {"user_id": "ben", "device_id": "ben-1"})))
    answers.append(("CallAnswer", await front.post(f"{url}/signal", {"user_id": "ana", "type": "x", "to": ["ben"]})))
    answers.append(("Problem", await front.post(f"{url}/answer", {"user_id": "ben", "device_id": "x"})))
    answers.append(("CallAnswer", await front.post(f"{url}/hangup")))
    answers.append(("CallEventPage", await front.http.get(f"/v1{url}/events")))
    answers.append(("TraceView", await front.http.get(f"/v1{url}/trace")))
    answers.append(("CallPage", await front.http.get("/v1/calls")))
    answers.append(("FeedPage", await front.http.get("/v1/events")))
    for name, answer in answers:
        validator(document, name).validate(answer.json())
    invalid = await front.post("/calls", {"x": 1})
    validator(document, "Problem").validate(problem(invalid, 422, "invalid_request"))


async def test_a_call_that_rings_its_initiator_first_fits_its_shapes(front, document):
    await front.online("ana")
    call = await front.call("ana", "ben", "cem", ring_initiator=True)
    ring_id, phone = await front.ring(call["id"], "ana")
    answers = [("RingAnswer", await phone.get(f"/v1/rings/{ring_id}"))]
    answers.append(("JoinedAnswer", await phone.post(f"/v1/rings/{ring_id}/answer", json={})))
    answers.append(("CallEventPage", await front.http.get(f"/v1/calls/{call['id']}/events")))
    for name, answer in answers:
        validator(document, name).validate(answer.json())
    told = document["components"]["schemas"]
    assert {"ring_initiator", "awaited"} <= told["CallView"]["properties"].keys()
    assert "outgoing" in told["RingView"]["properties"]
    assert "change" in told["CallEventData"]["properties"]


async def test_the_service_tells_its_own_interface(front, document):
    open_to_all = front.client("")
    told = await open_to_all.get("/openapi.json")
    assert told.json() == document
    page = await open_to_all.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in page.text
    assert "src=" not in page.text
    for path, _, operation in operations(document):
        assert path in page.text
        assert f"id={operation['operationId']}" in page.text
