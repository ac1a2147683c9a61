"""The switchboard for calls that ring people's devices."""

import json
import os
from dataclasses import asdict
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from service.commands import push
from service.commands.speaking import App, AsJson, DataDir, answer, complain, say, settings_from

if TYPE_CHECKING:
    from service.client.sdk import Client
    from service.client.shapes import Call

LOOK_EVERY_S = 0.2


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; every foreseen fault is one sentence on stderr and exit code 1."""
    try:
        code = command_line()(arguments, standalone_mode=False)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return 130
    except Exception as error:
        # A wrong option knows how to show itself.
        if show := getattr(error, "show", None):
            show()
            return 2
        if not foreseen(error):
            raise
        complain(str(error))
        return 1
    return code if isinstance(code, int) else 0


def foreseen(error: Exception) -> bool:
    """Whether it is a fault of the surroundings; else it is a bug."""
    from service.app import FORESEEN  # here, because it is most of the time that `--help` would take

    return isinstance(error, FORESEEN)


def command_line() -> typer.Typer:
    """The commands. Made when needed, because nothing mutable stands at module level."""
    line = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    line.callback()(about)
    apps = typer.Typer(help="The apps of this service, and their keys.", no_args_is_help=True)
    tokens = typer.Typer(help="Tokens for users, to try things out.", no_args_is_help=True)
    line.add_typer(apps, name="apps")
    line.add_typer(tokens, name="tokens")
    line.add_typer(push.group(), name="push")
    for command in (serve, migrate, doctor, call, demo):
        line.command()(command)
    apps.command("create")(apps_create)
    apps.command("list")(apps_list)
    apps.command("suspend")(apps_suspend)
    apps.command("resume")(apps_resume)
    tokens.command("create")(tokens_create)
    return line


def tell_version(asked: bool) -> None:
    """Print the version and end, when asked."""
    if asked:
        answer(f"hookswitch {metadata.version('hookswitch')}")
        raise typer.Exit


def about(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=tell_version, is_eager=True)
    ] = False,
) -> None:
    """The switchboard for calls that ring people's devices."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one. [default: 8080]")] = None,
    data_dir: DataDir = None,
    roles: Annotated[str | None, typer.Option(help="What to do. [default: api,dispatch,timers,media]")] = None,
) -> None:
    """Run the service until it is told to stop."""
    from service.config import refuse_unknown

    refuse_unknown(os.environ)
    settings = settings_from(host=host, port=port, data_dir=data_dir, roles=roles)
    from service.app import serve as run

    run(settings, say, lambda base_url: answer(f"ready {base_url}"))


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this version's tables, and end."""
    from service.app import with_database
    from service.store.database import Database

    async def nothing_more(_database: Database) -> None:
        """Opening migrates."""

    with_database(settings_from(data_dir=data_dir), nothing_more)
    say("the database is up to date")


def apps_create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    data_dir: DataDir = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="With test users such as test:answer@3s.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an app and print its keys, which are shown this once."""
    from service.app import with_database
    from service.store.apps import Credentials, create_app
    from service.store.database import Database

    async def create(database: Database) -> Credentials:
        async with database.begin() as connection:
            return await create_app(connection, name, **({"sandbox": True} if sandbox else {}))

    made = with_database(settings_from(data_dir=data_dir), create)
    if as_json:
        answer(json.dumps(asdict(made)))
        return
    for key, value in asdict(made).items():
        answer(f"{key:<16}{value}")  # no table: it would cut the secret to the width of the terminal
    say("Keep the API key and the signing secret: they are not shown again.")


def apps_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the apps."""
    from service.app import with_database
    from service.store.apps import ListedApp, list_apps
    from service.store.database import Database

    async def listed(database: Database) -> list[ListedApp]:
        async with database.begin() as connection:
            return await list_apps(connection)

    found = with_database(settings_from(data_dir=data_dir), listed)
    if as_json:
        answer(json.dumps([asdict(app) for app in found], default=str))
        return
    table = Table("app_id", "name", "created", "state")
    for app in found:
        state = "suspended" if app.suspended_at else "active"
        table.add_row(app.id, app.name, app.created_at.isoformat(" ", "seconds"), state)
    Console().print(table)


def apps_suspend(
    app_id: Annotated[str, typer.Argument(help="The app, as `apps list` shows it.")], data_dir: DataDir = None
) -> None:
    """Let nobody of an app in any more, and end all its calls."""
    from service.app import set_suspended

    set_suspended(settings_from(data_dir=data_dir), app_id, suspended=True)
    say(f"{app_id} is suspended, and its calls are over")


def apps_resume(
    app_id: Annotated[str, typer.Argument(help="The app, as `apps list` shows it.")], data_dir: DataDir = None
) -> None:
    """Let the keys and tokens of a suspended app in again."""
    from service.app import set_suspended

    set_suspended(settings_from(data_dir=data_dir), app_id, suspended=False)
    say(f"{app_id} is active again")


def tokens_create(
    user_id: Annotated[str, typer.Argument(help="The user the token is for.")],
    app: App = None,
    name: Annotated[str | None, typer.Option(help="The name others see.")] = None,
    role: Annotated[str, typer.Option(help="moderator, publisher or subscriber.")] = "publisher",
    ttl_s: Annotated[int, typer.Option("--ttl-s", min=1, help="Seconds until it expires.")] = 3600,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print a token with which a client acts as that user."""
    from service.app import mint_token
    from service.core.vocabulary import Role
    from service.wire.tokens import UserClaims

    try:
        claims = UserClaims(user_id, name=name, role=Role(role))
    except ValueError:
        raise typer.BadParameter("moderator, publisher or subscriber", param_hint="--role") from None
    token = mint_token(settings_from(data_dir=data_dir), app, claims, ttl_s)
    answer(json.dumps({"token": token, "user_id": user_id}) if as_json else token)


def doctor(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address that will be listened on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port that will be listened on.")] = None,
) -> int:
    """Check everything the service needs; exit code 1 when something is wrong."""
    from service.app import doctor as examine

    findings = examine(settings_from(data_dir=data_dir, host=host, port=port))
    for finding in findings:
        answer(f"{finding.mark:<5}  {finding.text}")
    return int(any(finding.fault for finding in findings))


def call(
    initiator: Annotated[str, typer.Argument(help="Who calls.")],
    participants: Annotated[list[str], typer.Argument(help="Who is called.")],
    url: Annotated[str, typer.Option(envvar="HOOKSWITCH_URL", help="The service.")] = "http://127.0.0.1:8080",
    api_key: Annotated[str, typer.Option(envvar="HOOKSWITCH_API_KEY", help="The app's key.")] = "",
    ring_timeout_s: Annotated[int | None, typer.Option("--ring-timeout-s", min=5, max=180)] = None,
    call_type: Annotated[str, typer.Option(help="audio_only, audio_upgradable or audio_video.")] = "audio_video",
    trace: Annotated[bool, typer.Option("--trace", help="Say in the end why each device rang, or did not.")] = False,
) -> int:
    """Place a call and tell what happens, until it ends; Ctrl-C cancels it."""
    import asyncio

    from service.client.problems import Refused
    from service.client.sdk import Client

    if not api_key:
        complain("an API key is needed: --api-key, or HOOKSWITCH_API_KEY")
        return 1

    async def place() -> int:
        async with Client(url, api_key) as client:
            placed = await client.call(initiator, participants, call_type=call_type, ring_timeout_s=ring_timeout_s)
            try:
                await told(client, placed.call)
            except asyncio.CancelledError:
                await client.calls.cancel(placed.call.id, user_id=initiator)
                raise
            if trace:
                await explained(client, placed.call)
            return 0

    try:
        return asyncio.run(place())
    except Refused as refused:
        complain(str(refused))
    except OSError as error:
        complain(f"the service at {url} does not answer: {error}")
    except KeyboardInterrupt:
        complain("cancelled")
    return 1


async def explained(client: "Client", call: "Call") -> None:
    """Say why each device rang, or did not."""
    for leg in (await client.calls.trace(call.id)).legs:
        answer(f"{leg.user_id}: {leg.verdict}")
        for device in leg.devices if len(leg.devices) > 1 else ():
            answer(f"  {device.device_id}: {device.verdict}")


async def told(client: "Client", call: "Call") -> None:
    """Tell every event of a call until it ends: seconds since its start, what, and who."""
    import asyncio

    answer(f"call {call.id}")
    seq = 0
    while True:
        for event in await client.calls.events(call.id):
            if event.seq <= seq:
                continue
            seq = event.seq
            since = datetime.fromisoformat(str(event.data["occurred_at"])) - call.created_at
            answer(f"{since.total_seconds():9.3f} s  {event.type:<28} {event.user_id or ''}".rstrip())
            if event.type == "call.ended":
                answer(f"ended: {event.call.end_reason}, {event.call.talk_s} s of talk")
                return
        await asyncio.sleep(LOOK_EVERY_S)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the play instead of serving on.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Play in this folder, and keep it. [default: a temporary one]")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the service. [default: a free one]")] = None,
) -> int:
    """Play the main job: people call each other, with real media, told as it happens."""
    from service.demo.play import play

    return play(data_dir=data_dir, port=port, once=once)
