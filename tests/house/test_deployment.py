"""The files in deploy/ are right as far as that can be seen without running them."""

import json
import re
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from importlib.resources import files

import jsonschema
import pytest
import yaml

from service.config import load_settings
from service.media.checkup import KERNEL_BUFFER
from tests.house.source import ROOT

DEPLOY = ROOT / "deploy"
INSTRUCTIONS = frozenset(
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL RUN SHELL STOPSIGNAL USER VOLUME WORKDIR".split()
)


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dockerfile():
    """(instruction, argument) pairs; continued lines are joined, comments are gone."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


class Unit(ConfigParser):
    """A systemd unit: keys keep their case, and nothing is interpolated."""

    def __init__(self):
        super().__init__(interpolation=None, strict=True, delimiters=("=",), comment_prefixes=("#",))

    def optionxform(self, optionstr):
        return optionstr


@pytest.fixture(scope="module")
def unit():
    parser = Unit()
    parser.read(DEPLOY / "hookswitch.service", encoding="utf-8")
    return parser


def test_the_compose_file_follows_the_compose_specification(compose):
    schema = files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text(encoding="utf-8")
    schema = json.loads(schema)
    jsonschema.validators.validator_for(schema)(schema).validate(compose)


def test_the_compose_file_runs_the_service_and_postgresql_18_each_watched(compose):
    services = compose["services"]
    assert set(services) == {"service", "database"}
    assert services["database"]["image"] == "postgres:18"
    assert all("healthcheck" in service for service in services.values())
    assert services["service"]["depends_on"]["database"]["condition"] == "service_healthy"
    named = {volume.split(":")[0] for service in services.values() for volume in service["volumes"]}
    assert named == set(compose["volumes"])


def test_the_compose_file_publishes_on_loopback_only_and_holds_no_secret(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert all("environment" not in service for service in compose["services"].values())


def test_the_compose_file_publishes_the_ports_of_the_media_workers(compose):
    example = (DEPLOY / "example.env").read_text(encoding="utf-8")
    settings = dict(line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#"))
    ports = settings["HOOKSWITCH_MEDIA_PORTS"]
    assert f"127.0.0.1:{ports}:{ports}/udp" in compose["services"]["service"]["ports"]
    assert settings["HOOKSWITCH_MEDIA_PUBLIC_IP"] == "127.0.0.1"
    chosen = {name.removeprefix("HOOKSWITCH_").lower(): value for name, value in settings.items() if "MEDIA" in name}
    media = load_settings(**chosen).media_workers()
    assert media.host == "0.0.0.0"
    assert f"{media.low_port}-{media.high_port}" == ports


def test_operators_are_told_of_the_receive_buffer():
    wanted = f"net.core.rmem_max={KERNEL_BUFFER}"
    assert all(wanted in (DEPLOY / name).read_text(encoding="utf-8") for name in ("compose.yaml", "hookswitch.service"))


def test_the_compose_file_builds_what_exists(compose):
    build = compose["services"]["service"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).is_file()


def test_the_example_settings_are_those_the_compose_file_needs(compose):
    example = (DEPLOY / "example.env").read_text(encoding="utf-8")
    settings = dict(line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#"))
    assert settings["HOOKSWITCH_DATABASE_URL"] == "postgresql://{}:{}@database:5432/{}".format(
        settings["POSTGRES_USER"], settings["POSTGRES_PASSWORD"], settings["POSTGRES_DB"]
    )
    assert settings["HOOKSWITCH_SECRET_KEYS"] == ""
    assert load_settings(secret_keys="").vault() is None
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert "*.env" in ignored
    assert {service["env_file"] for service in compose["services"].values()} == {"hookswitch.env"}


def test_the_dockerfile_is_made_of_known_instructions(dockerfile):
    assert dockerfile[0][0] == "FROM"
    assert {name for name, _ in dockerfile} <= INSTRUCTIONS
    for name, argument in dockerfile:
        if argument.startswith("["):
            assert all(isinstance(word, str) for word in json.loads(argument)), argument
        elif name == "RUN":
            assert subprocess.run(["sh", "-n", "-c", argument], check=False).returncode == 0, argument


def test_the_dockerfile_copies_what_the_repository_has_and_the_ignore_file_lets_through(dockerfile):
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line[0] == "!"}
    stages = {argument.split()[-1] for name, argument in dockerfile if name == "FROM" and " AS " in argument}
    copied = set()
    for argument in (argument for name, argument in dockerfile if name == "COPY"):
        words = shlex.split(argument)
        if words[0].startswith("--from="):
            assert words[0].removeprefix("--from=") in stages
        else:
            copied |= {word.removeprefix("./") for word in words[:-1]}
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert copied == let_through


def test_the_image_installs_by_hash_and_runs_without_privileges(dockerfile):
    installs = [argument for name, argument in dockerfile if name == "RUN" and "-r requirements" in argument]
    assert installs
    assert all(argument.count("--require-hashes") == argument.count("-r requirements") for argument in installs)
    last = max(index for index, (name, _) in enumerate(dockerfile) if name == "FROM")
    final = dict(dockerfile[last:])
    assert final["USER"] == "hookswitch"
    assert json.loads(final["ENTRYPOINT"]) + json.loads(final["CMD"]) == [
        "hookswitch", "serve", "--host", "0.0.0.0", "--port", "8080",
    ]  # fmt: skip
    assert "/healthz" in final["HEALTHCHECK"]
    assert final["EXPOSE"] == "8080"


def test_the_unit_starts_the_command_as_nobody_in_particular(unit):
    service = unit["Service"]
    command = shlex.split(service["ExecStart"])
    assert command[0].startswith("/")
    assert command[0].endswith("/bin/hookswitch")
    assert command[1:] == ["serve", "--host", "127.0.0.1", "--port", "8080"]
    assert service["DynamicUser"] == "yes"
    assert service["Restart"] == "always"
    # Anything else kills the media workers, which wait for the next service (systemd.kill(5)).
    assert service["KillMode"] == "process"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_the_unit_gives_away_nothing_it_need_not(unit):
    service = unit["Service"]
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"
    for key in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectKernelModules"):
        assert service[key] == "yes"
    # ICE looks at the network interfaces through netlink.
    assert {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"} == set(service["RestrictAddressFamilies"].split())


def test_systemd_accepts_the_unit(unit, tmp_path):
    """Where systemd is installed it judges the unit (with a command that exists); else the shape counts."""
    assert unit.sections() == ["Unit", "Service", "Install"]
    analyze = shutil.which("systemd-analyze")
    if analyze:
        text = (DEPLOY / "hookswitch.service").read_text(encoding="utf-8")
        copy = tmp_path / "hookswitch.service"
        copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE), encoding="utf-8")
        verdict = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, check=False)
        assert "hookswitch.service" not in verdict.stderr
