"""What the commands of the group `push` do, beside a running service or without one. All raise `FORESEEN`."""

from typing import Any

from pydantic import ValidationError

from service.api.errors import invalid
from service.app import chosen_app, with_vault
from service.config import Settings, SettingsError
from service.core.vocabulary import Channel
from service.store import credentials as store
from service.store.database import Database
from service.wire.credentials import CredentialsView, Environment
from service.wire.sealing import Vault
from service.wire.uploads import UploadError, check_upload


def upload(
    settings: Settings, app_id: str | None, environment: Environment, channel: Channel, fields: dict[str, Any]
) -> store.Taken:
    """Keep these credentials, as `PUT /v1/push-credentials/…` does."""
    try:
        body = store.BODY.validate_python({"channel": channel, **fields})
        check_upload(body, allow_private=settings.allow_private_webhooks)
    except ValidationError as error:
        # The first part of the place is what chose the shape.
        raise SettingsError(invalid(error).detail.removeprefix(channel.value).lstrip(".: ")) from None
    except UploadError as error:
        raise SettingsError(str(error)) from None

    async def take(database: Database, vault: Vault | None) -> store.Taken:
        if vault is None:
            raise SettingsError(store.NO_KEY)
        chosen = await chosen_app(database, app_id)
        async with database.begin() as connection:
            taken = await store.take_credentials(connection, vault, chosen, environment, body)
        if taken is None:
            raise SettingsError(f"there is no app {chosen}")
        return taken

    return with_vault(settings, take)


def listed(settings: Settings, app_id: str | None) -> list[CredentialsView]:
    """What may be told of an app's credentials."""

    async def read(database: Database, vault: Vault | None) -> list[CredentialsView]:
        chosen = await chosen_app(database, app_id)
        async with database.begin() as connection:
            return await store.list_credentials(connection, chosen, vault)

    return with_vault(settings, read)


def remove(settings: Settings, app_id: str | None, channel: Channel, environment: Environment) -> None:
    """Forget credentials."""

    async def forget(database: Database, _vault: Vault | None) -> bool:
        chosen = await chosen_app(database, app_id)
        async with database.begin() as connection:
            return await store.remove_credentials(connection, chosen, channel, environment)

    if not with_vault(settings, forget):
        raise SettingsError(f"the app has no credentials for {channel.value} ({environment})")


def reseal(settings: Settings) -> tuple[int, int]:
    """Encrypt all credentials of all apps with the first key; how many were, and how many no key opens."""

    async def again(database: Database, vault: Vault | None) -> tuple[int, int]:
        if vault is None:
            raise SettingsError(store.NO_KEY)
        async with database.begin() as connection:
            return await store.reseal(connection, vault)

    return with_vault(settings, again)
