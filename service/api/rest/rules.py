"""Rules: on this event, about these users, tell those receivers by that channel in these words."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.responses import Response

from service.api.declared import refusals
from service.api.door import Door, KeyAsk
from service.api.errors import RefusedError, invalid
from service.api.explaining import explain
from service.api.pages import one, page
from service.api.replies import nothing
from service.core.refusals import Code
from service.store import rules as store
from service.wire.canonical import rfc3339
from service.wire.explanations import ExplainBody, Explanation
from service.wire.rules import RuleBody, RuleChange, RuleQuery, RuleView
from service.wire.shapes import Page

routes = APIRouter(route_class=Door, tags=["rules"])


def no_such_rule() -> RefusedError:
    """404 for a rule that the app does not have."""
    return RefusedError(Code.NOT_FOUND, "there is no such rule")


@routes.post(
    "/v1/rules",
    summary="Make a rule",
    status_code=201,
    response_model=RuleView,
    responses=refusals(Code.CAPACITY_EXCEEDED),
)
async def create_rule(ask: KeyAsk, body: RuleBody) -> Response:
    """It counts for what happens from now on. An app has at most 100 rules."""
    try:
        async with ask.deps.database.begin() as connection:
            rule = await store.create_rule(connection, ask.app_id, body)
    except store.TooManyRulesError:
        limit = f"an app has at most {store.MOST_RULES} rules; delete one first"
        raise RefusedError(Code.CAPACITY_EXCEEDED, limit) from None
    return one(rule, 201)


@routes.post(
    "/v1/rules/explain",
    summary="Ask what rules would do",
    response_model=Explanation,
    responses=refusals(Code.NOT_FOUND),
)
async def explain_rules(ask: KeyAsk, body: ExplainBody) -> Response:
    """What would happen now, and why: each rule, each receiver, and the words as they would read. Nobody is told."""
    now = rfc3339(datetime.fromtimestamp(ask.deps.clock(), UTC))
    said = await explain(ask.deps.database, ask.deps.vault, ask.app_id, body, now)
    if said is None:
        raise RefusedError(Code.NOT_FOUND, "there is no such event")
    return one(said)


@routes.get("/v1/rules", summary="List the rules", response_model=Page[RuleView])
async def list_rules(ask: KeyAsk, query: Annotated[RuleQuery, Query()]) -> Response:
    """Newest first."""
    async with ask.deps.database.begin() as connection:
        rules = await store.list_rules(connection, ask.app_id, query.cursor, query.limit + 1)
    return page(rules, query.limit, lambda rule: rule.id)


@routes.get("/v1/rules/{rule_id}", summary="Read a rule", response_model=RuleView, responses=refusals(Code.NOT_FOUND))
async def get_rule(ask: KeyAsk, rule_id: UUID) -> Response:
    """As it is kept."""
    async with ask.deps.database.begin() as connection:
        rule = await store.view_rule(connection, ask.app_id, rule_id)
    if rule is None:
        raise no_such_rule()
    return one(rule)


@routes.patch(
    "/v1/rules/{rule_id}", summary="Change a rule", response_model=RuleView, responses=refusals(Code.NOT_FOUND)
)
async def patch_rule(ask: KeyAsk, rule_id: UUID, body: RuleChange) -> Response:
    """What is left out stays; a part that is given (`receivers`, `template`, …) takes the place of the whole part."""
    async with ask.deps.database.begin() as connection:
        before = await store.get_rule(connection, ask.app_id, rule_id, to_change=True)
        if before is None:
            raise no_such_rule()
        try:
            after = body.on(before.model_dump(mode="json"))
        except ValidationError as error:
            raise invalid(error, "body") from error
        rule = await store.put_rule(connection, ask.app_id, rule_id, after)
    return one(rule)


@routes.delete(
    "/v1/rules/{rule_id}",
    summary="Delete a rule",
    status_code=204,
    response_model=None,
    responses=refusals(Code.NOT_FOUND),
)
async def delete_rule(ask: KeyAsk, rule_id: UUID) -> Response:
    """What it has not told yet never will be."""
    async with ask.deps.database.begin() as connection:
        known = await store.delete_rule(connection, ask.app_id, rule_id)
    if not known:
        raise no_such_rule()
    return nothing()
