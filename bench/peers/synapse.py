"""Synapse: Matrix in Python, everything in PostgreSQL. It lives in a virtual environment of its own."""

import base64
import json
import os
from pathlib import Path

from bench.processes import Server, free_port, listens

ROOT = Path(__file__).resolve().parents[2]
INSTALL = (
    "python3 -m venv build/synapse && build/synapse/bin/pip install matrix-synapse psycopg2-binary"
    " (or name its interpreter in BENCH_SYNAPSE_PYTHON)"
)
UNLIMITED = {"per_second": 1e6, "burst_count": 1000000}


def interpreter():
    return Path(os.environ.get("BENCH_SYNAPSE_PYTHON", ROOT / "build/synapse/bin/python"))


class Synapse:
    name = "Synapse"
    kind = "synapse"
    ringing = (False,)
    easy_rate = 2

    def __init__(self):
        self.server = None
        self.port = free_port()

    @staticmethod
    def missing():
        return None if interpreter().exists() else INSTALL

    def start(self, folder, postgres):
        home = Path(folder) / "synapse"
        home.mkdir()
        postgres.create("synapse")
        (home / "signing.key").write_text(
            f"ed25519 bench {base64.b64encode(os.urandom(32)).decode().rstrip('=')}\n", encoding="utf-8"
        )
        (home / "log.yaml").write_text(
            json.dumps({"version": 1, "root": {"level": "ERROR"}, "disable_existing_loggers": False}),
            encoding="utf-8",
        )
        configuration = home / "homeserver.yaml"
        configuration.write_text(json.dumps(self.configuration(home, postgres)), encoding="utf-8")
        command = [interpreter(), "-m", "synapse.app.homeserver", "-c", configuration]
        self.server = Server.start("synapse", command, home)
        self.server.wait_for(lambda: listens(self.port), seconds=60)
        return self

    def configuration(self, home, postgres):
        """Defaults, but no limits on rates and no work that other peers do not do (presence, federation)."""
        limits = ("rc_message", "rc_registration", "rc_room_creation", "rc_registration_token_validity")
        return {
            "server_name": "bench.local",
            "pid_file": str(home / "pid"),
            "listeners": [
                {
                    "port": self.port,
                    "bind_addresses": ["127.0.0.1"],
                    "type": "http",
                    "tls": False,
                    "resources": [{"names": ["client"]}],
                }
            ],
            "database": {
                "name": "psycopg2",
                "args": {
                    "user": "postgres",
                    "dbname": "synapse",
                    "host": "127.0.0.1",
                    "port": postgres.port,
                    "cp_min": 5,
                    "cp_max": 10,
                },
            },
            "log_config": str(home / "log.yaml"),
            "signing_key_path": str(home / "signing.key"),
            "media_store_path": str(home / "media"),
            "macaroon_secret_key": "bench",
            "form_secret": "bench",
            "report_stats": False,
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "bcrypt_rounds": 4,
            "trusted_key_servers": [],
            "federation_domain_whitelist": [],
            "presence": {"enabled": False},
            **dict.fromkeys(limits, UNLIMITED),
            "rc_login": dict.fromkeys(("address", "account", "failed_attempts"), UNLIMITED),
            "rc_joins": dict.fromkeys(("local", "remote"), UNLIMITED),
            "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), UNLIMITED),
        }

    @property
    def pid(self):
        return self.server.pid

    def load(self, pairs, *, ringing):  # noqa: ARG002 - Matrix has no event for "it rings"
        return {"host": "127.0.0.1", "port": self.port, "pairs": pairs}

    def stop(self):
        if self.server:
            self.server.stop()
