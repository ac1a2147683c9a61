"""coturn in deploy/: it refuses whatever the service itself would not send to, and is started rightly."""

import json
import re
import subprocess
from importlib.resources import files
from ipaddress import IPv4Network, IPv6Network, ip_address, summarize_address_range

import jsonschema
import pytest
import yaml

from service.wire.urls import NOT_PUBLIC_V4, NOT_PUBLIC_V6, PUBLIC_V6
from tests.house.source import ROOT

DEPLOY = ROOT / "deploy"
LINES = [
    line.strip()
    for line in (DEPLOY / "turnserver.conf").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
]


def denied(version):
    ranges = [line.partition("=")[2].split("-") for line in LINES if line.startswith("denied-peer-ip=")]
    pairs = [(ip_address(first), ip_address(last)) for first, last in ranges]
    return [
        network for first, last in pairs if first.version == version for network in summarize_address_range(first, last)
    ]


def covered(network, ranges):
    """Whether the ranges hold the whole network: what is taken out of it, piece by piece, leaves nothing."""
    left = [network]
    for taken in ranges:
        kept = []
        for piece in left:
            if not piece.overlaps(taken):
                kept.append(piece)
            elif taken.subnet_of(piece) and taken != piece:
                kept.extend(piece.address_exclude(taken))
        left = kept
    return not left


def test_no_peer_is_reached_that_the_service_would_not_send_to():
    v4, v6 = denied(4), denied(6)
    assert [str(network) for network in NOT_PUBLIC_V4 if not covered(network, v4)] == []
    outside = [*NOT_PUBLIC_V6, *IPv6Network("::/0").address_exclude(PUBLIC_V6)]
    assert [str(network) for network in outside if not covered(network, [*v6, IPv6Network("::/128")])] == []
    assert not any(network.overlaps(IPv4Network("9.9.9.9/32")) for network in v4)
    assert not any(network.overlaps(IPv6Network("2620:fe::fe/128")) for network in v6)


def test_no_range_begins_where_coturn_takes_it_for_any_address():
    assert [line for line in LINES if line.startswith("denied-peer-ip=::-")] == []


def test_it_is_closed_to_whom_the_service_has_not_let_in_and_holds_no_secret():
    assert {"use-auth-secret", "fingerprint", "no-cli", "no-multicast-peers", "no-tlsv1", "no-tlsv1_1"} <= set(LINES)
    told = "\n".join(LINES)
    for open_door in ("static-auth-secret", "no-auth", "allow-loopback-peers", "allowed-peer-ip", "web-admin", "user="):
        assert not re.search(rf"^{open_door}", told, re.MULTILINE), open_door


@pytest.fixture(scope="module")
def turn():
    compose = yaml.safe_load((DEPLOY / "compose.turn.yaml").read_text(encoding="utf-8"))
    schema = files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text(encoding="utf-8")
    schema = json.loads(schema)
    jsonschema.validators.validator_for(schema)(schema).validate(compose)
    return compose["services"]["turn"]


def test_the_compose_file_watches_it_and_gives_it_nothing(turn):
    assert turn["network_mode"] == "host"
    assert turn["read_only"] is True
    assert turn["cap_drop"] == ["ALL"]
    assert "healthcheck" in turn
    assert "environment" not in turn
    source = turn["volumes"][0].split(":")[0]
    assert (DEPLOY / source).is_file()


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"TURN_SECRETS": "one"}, ["static-auth-secret=one"]),
        (
            {"TURN_SECRETS": "new,o*d", "TURN_EXTERNAL_IP": "198.51.100.1/10.0.0.5"},
            ["static-auth-secret=new", "static-auth-secret=o*d", "external-ip=198.51.100.1/10.0.0.5"],
        ),
    ],
)
def test_the_compose_file_starts_it_with_every_secret(turn, tmp_path, environment, told):
    shell, flag, script, name = turn["entrypoint"]
    settings = DEPLOY / "turnserver.conf"
    script = script.replace("$$", "$").replace("exec turnserver", "env; printf '%s\\n'")
    script = script.replace("/etc/coturn/hookswitch.conf", str(settings))
    ran = subprocess.run(
        [shell, flag, script, name], env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    written = tmp_path / "turnserver.conf"
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.read_text(encoding="utf-8") == settings.read_text(encoding="utf-8") + "\n".join([*told, ""])
    assert str(written) in ran.stdout
    assert not [secret for secret in environment["TURN_SECRETS"].split(",") if secret in ran.stdout]


def test_the_compose_file_does_not_start_it_without_a_secret(turn):
    shell, flag, script, name = turn["entrypoint"]
    ran = subprocess.run(
        [shell, flag, script.replace("$$", "$"), name], env={"PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "TURN_SECRETS" in ran.stderr
