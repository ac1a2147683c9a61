"""The app itself: the defaults its calls are dialled under."""

from fastapi import APIRouter
from starlette.responses import Response

from service.api.door import Door, KeyAsk
from service.api.errors import RefusedError
from service.api.pages import one
from service.core.refusals import Code
from service.core.settings import AppSettings
from service.store.apps import change_settings, settings_to_tell
from service.store.directory import everybody_engaged
from service.wire.apps import AppView, SettingsChange

routes = APIRouter(route_class=Door, tags=["app"])


@routes.get("/v1/app", summary="Read the app's settings", response_model=AppView)
async def get_app(ask: KeyAsk) -> Response:
    """Every setting with its value, also those that were never changed."""
    return one(_view(ask, ask.settings))


@routes.patch("/v1/app", summary="Change the app's settings", response_model=AppView)
async def patch_app(ask: KeyAsk, body: SettingsChange) -> Response:
    """What is left out stays. Calls that run keep the settings they were dialled under.

    Other processes of the service follow within two seconds.
    """
    async with ask.deps.database.begin() as connection:
        settings = await change_settings(connection, ask.app_id, body.model_dump(mode="json", exclude_unset=True))
        engaged = await everybody_engaged(connection, ask.app_id) if settings and _moves(body) else []
    ask.deps.book.forget()
    for user_id in engaged:
        ask.deps.moved(ask.app_id, user_id)
    if settings is None:
        raise RefusedError(Code.NOT_FOUND, "the app is gone")
    return one(_view(ask, settings))


def _moves(body: SettingsChange) -> bool:
    """Whether somebody who is rung may have another presence now."""
    return "busy_while_ringing" in body.model_fields_set


def _view(ask: KeyAsk, settings: AppSettings) -> AppView:
    return AppView(id=ask.app_id, name=ask.admitted.app.name, **settings_to_tell(settings))
