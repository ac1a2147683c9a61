"""Whose presence a socket hears of besides its own user's."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from service.api.calling import Answered, allowed
from service.api.connections import Asker
from service.api.errors import RefusedError
from service.api.ws.deps import SocketDeps
from service.core.refusals import Code
from service.core.rights import may_see_company, may_see_presence
from service.live.session import Session
from service.switchboard.presence import look
from service.wire.frames import Frame, PresenceSubscribe, PresenceUnsubscribe
from service.wire.presence import presence_view


async def subscribe(deps: SocketDeps, session: Session, asker: Asker, frame: PresenceSubscribe) -> Answered:
    """From now on; how they all are at this moment is the answer. What is told in between may come before it."""
    principal, settings = asker.principal, asker.admitted.app.settings
    user_ids = list(dict.fromkeys(frame.user_ids))
    for user_id in user_ids:
        allowed(may_see_presence(principal, user_id))
    most = deps.config.most_watched
    if not deps.watchers.watch(session, user_ids, most):
        raise RefusedError(Code.CAPACITY_EXCEEDED, f"a socket hears of at most {most} users; unsubscribe from some")
    found = await look(asker.deps.database, asker.deps.switchboard, principal.app_id, settings, user_ids)
    views = [
        presence_view(seen, company=may_see_company(principal, seen.user_id, settings.busy_with_visible_to))
        for seen in found
    ]
    return {"presences": [view.model_dump(mode="json") for view in views]}


async def unsubscribe(deps: SocketDeps, session: Session, _asker: Asker, frame: PresenceUnsubscribe) -> Answered:
    """Of these users, or of all but one's own. Fine also where there was no subscription."""
    deps.watchers.unwatch(session, frame.user_ids)
    return {}


PRESENCE: Mapping[type[Frame], Callable[[SocketDeps, Session, Asker, Any], Awaitable[Answered]]] = MappingProxyType(
    {PresenceSubscribe: subscribe, PresenceUnsubscribe: unsubscribe}
)
