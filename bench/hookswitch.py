"""Our own service under measurement: started like everybody starts it, by its command line."""

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from bench.processes import Server, free_port

COMMAND = Path(sys.executable).parent / "hookswitch"
ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
READY = re.compile(r"^ready (http://\S+)", re.MULTILINE)
TOKEN_TTL_S = 7200


def url_safe(data):
    """Base64 as in a JWT (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class App:
    """An app of the service with its credentials."""

    def __init__(self, facts):
        self.id, self.key = facts["app_id"], facts["api_key"]
        self.kid, self.secret = facts["signing_key_id"], facts["signing_secret"].encode()

    def token(self, user_id):
        """A user token minted offline, as a backend may: a JWT signed with HS256."""
        now = int(time.time())
        claims = {"sub": user_id, "app": self.id, "iat": now, "nbf": now, "exp": now + TOKEN_TTL_S}
        parts = ({"alg": "HS256", "kid": self.kid, "typ": "JWT"}, claims)
        text = b".".join(url_safe(json.dumps(part).encode()) for part in parts)
        return (text + b"." + url_safe(hmac.digest(self.secret, text, hashlib.sha256))).decode()

    def people(self, count, tag):
        """`count` users with their tokens, as the load generators take them."""
        return [[user, self.token(user)] for user in (f"{tag}{number}" for number in range(count))]


class Service:
    """One process of the service. `url` None means the embedded database in its data folder."""

    def __init__(self, folder, url=None, name="hookswitch", command=(COMMAND,)):
        self.folder = Path(folder) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.port = free_port()
        self.server = None
        self.command = command
        self.environment = {"HOOKSWITCH_DATA_DIR": str(self.folder / "data"), "PYTHONPATH": str(ROOT)}
        if url:
            self.environment["HOOKSWITCH_DATABASE_URL"] = url

    def start(self, seconds=60):
        """Start and wait for its ready line; gives the seconds that took."""
        log = self.folder / f"{self.name}.log"
        seen = log.stat().st_size if log.exists() else 0
        began = time.perf_counter()
        command = [*self.command, "serve", "--host", HOST, "--port", self.port]
        self.server = Server.start(self.name, command, self.folder, env=self.environment)
        self.server.wait_for(lambda: READY.search(log.read_bytes()[seen:].decode(errors="replace")), seconds)
        return time.perf_counter() - began

    @property
    def pid(self):
        return self.server.pid

    def app(self, name):
        """Make an app by the command line, beside the running server."""
        answer = subprocess.run(
            [COMMAND, "apps", "create", name, "--json"],
            env={**os.environ, **self.environment},
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return App(json.loads(answer.stdout))

    def ask(self, method, path, body=None, token=""):
        """One request for preparing a measurement; raises for what is no success."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server on loopback
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:300]!r}") from error

    def load(self, app, pairs, *, ringing, tag="p"):
        people = app.people(2 * pairs, tag)
        return {"host": HOST, "port": self.port, "people": people, "ringing": ringing}

    def stop(self):
        if self.server:
            self.server.stop()
            self.server = None

    def kill(self):
        self.server.kill()
        self.server = None
