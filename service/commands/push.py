"""`hookswitch push`: what the apps sign in with to push services, mail servers and message gateways."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.speaking import App, AsJson, DataDir, answer, say, settings_from

if TYPE_CHECKING:
    from service.core.vocabulary import Channel
    from service.wire.credentials import CredentialsView, Environment

LARGEST_FILE = 64 * 1_024
ABOUT = "What an app signs in with to push services, its mail server and its message gateway."
AtApple = Annotated[str, typer.Option("--environment", help="production or sandbox.")]


def group() -> typer.Typer:
    """The commands. Made when needed, because nothing mutable stands at module level."""
    line = typer.Typer(help=ABOUT, no_args_is_help=True)
    kinds = typer.Typer(help="Upload credentials, in place of those before.", no_args_is_help=True)
    for name, command in (
        ("apns", set_apns),
        ("fcm", set_fcm),
        ("webpush", set_webpush),
        ("email", set_email),
        ("message", set_message),
    ):
        kinds.command(name)(command)
    line.add_typer(kinds, name="set")
    line.command("list")(list_all)
    line.command("remove")(remove)
    line.command("reseal")(reseal)
    return line


def set_apns(
    key_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, allow_dash=True, help="AuthKey_….p8.")],
    key_id: Annotated[str, typer.Option(help="The key's id.")],
    team_id: Annotated[str, typer.Option(help="The id of the team at Apple.")],
    bundle_id: Annotated[str, typer.Option(help="The app's own, such as com.example.phone.")],
    environment: AtApple = "production",
    app: App = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Apple's push service."""
    names = {"key_id": key_id, "team_id": team_id, "bundle_id": bundle_id}
    _upload("apns", {"private_key": _read(key_file), **names}, environment, app, data_dir, as_json)


def set_fcm(
    service_account: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, allow_dash=True, help="The JSON file from Google's console.")
    ],
    app: App = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Firebase Cloud Messaging."""
    from service.config import SettingsError

    try:
        account = json.loads(_read(service_account))
    except ValueError:
        raise SettingsError(f"{service_account} is not JSON") from None
    _upload("fcm", {"service_account": account}, "production", app, data_dir, as_json)


def set_webpush(
    subject: Annotated[str, typer.Option(help="Whom push services may write to: mailto:… or https://….")],
    key_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, allow_dash=True, help="A VAPID private key. [default: one is made]"),
    ] = None,
    app: App = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """The push services of browsers."""
    fields = {"subject": subject, **({"private_key": _read(key_file)} if key_file else {})}
    _upload("webpush", fields, "production", app, data_dir, as_json)


def set_email(
    host: Annotated[str, typer.Option(help="The mail server.")],
    sender: Annotated[str, typer.Option(help="The address that people see as the sender's.")],
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 587,
    security: Annotated[str, typer.Option(help="starttls, tls or none.")] = "starttls",
    username: Annotated[str | None, typer.Option(help="To sign in with.")] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, allow_dash=True, help="With the password; - reads it from stdin."),
    ] = None,
    app: App = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """A mail server, for people whom no device reaches."""
    fields: dict[str, Any] = {"host": host, "port": port, "security": security, "sender": sender, "username": username}
    if password_file:
        fields["password"] = _read(password_file)
    _upload("email", fields, "production", app, data_dir, as_json)


def set_message(
    url: Annotated[str | None, typer.Option(help="Your gateway: takes signed POSTs.")] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, allow_dash=True, help="With its whsec_…. [default: one is made]"),
    ] = None,
    apprise_url_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, allow_dash=True, help="With an address of apprise instead."),
    ] = None,
    app: App = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """A gateway for SMS or chat, for people whom no device reaches."""
    fields: dict[str, Any] = {"url": url}
    if secret_file:
        fields["secret"] = _read(secret_file)
    if apprise_url_file:
        fields["apprise_url"] = _read(apprise_url_file)
    _upload("message", fields, "production", app, data_dir, as_json)


def list_all(app: App = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """What is there and whether it works, without anything secret."""
    from service.commands.credentials import listed

    found = listed(settings_from(data_dir=data_dir), app)
    if as_json:
        answer(json.dumps([view.model_dump(mode="json") for view in found]))
        return
    for view in found:
        answer(_line(view))


def remove(
    channel: Annotated[str, typer.Argument(help="apns, fcm, webpush, email or message.")],
    environment: AtApple = "production",
    app: App = None,
    data_dir: DataDir = None,
) -> None:
    """Forget credentials: from now on nothing is told by this channel."""
    from service.commands.credentials import remove as forget

    known = _channel(channel)
    forget(settings_from(data_dir=data_dir), app, known, _environment(environment))
    say(f"removed: {known.value} ({environment})")


def reseal(data_dir: DataDir = None) -> int:
    """Encrypt all credentials with the first of HOOKSWITCH_SECRET_KEYS, so that the others can be taken away."""
    from service.commands.credentials import reseal as again

    done, closed = again(settings_from(data_dir=data_dir))
    say(f"{done} encrypted with the first key" + (f"; {closed} cannot be opened with any key" if closed else ""))
    return int(closed > 0)


def _upload(
    channel: str, fields: dict[str, Any], environment: str, app: str | None, data_dir: Path | None, as_json: bool
) -> None:
    from service.commands.credentials import upload

    settings = settings_from(data_dir=data_dir)
    taken = upload(settings, app, _environment(environment), _channel(channel), fields)
    if as_json:
        told = taken.view.model_dump(mode="json") | ({"secret": taken.secret} if taken.secret else {})
        answer(json.dumps(told))
        return
    answer(_line(taken.view))
    if taken.secret:
        answer(f"secret  {taken.secret}")
        say("Keep the secret, which signs what your gateway is sent: it is not shown again.")


def _line(view: "CredentialsView") -> str:
    state = {None: "not used yet", True: "works", False: f"does not work: {view.problem}"}[view.works]
    about = " ".join(f"{name}={fact}" for name, fact in view.about.items())
    return f"{view.channel.value:<8} {view.environment:<11} {about}  ({state})"


def _channel(name: str) -> "Channel":
    from service.core.vocabulary import Channel

    try:
        return Channel(name)
    except ValueError:
        raise typer.BadParameter("apns, fcm, webpush, email or message", param_hint="channel") from None


def _environment(name: str) -> "Environment":
    if name == "production":
        return "production"
    if name == "sandbox":
        return "sandbox"
    raise typer.BadParameter("production or sandbox", param_hint="--environment")


def _read(path: Path) -> str:
    """A small file's text without the white space around it; `-` is stdin. The text goes into no message."""
    import sys

    from service.config import SettingsError

    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        text = content.decode()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not text") from None
    if len(content) > LARGEST_FILE:
        raise SettingsError(f"{path} is larger than {LARGEST_FILE} bytes")
    return text.strip()
