"""ejabberd: XMPP in Erlang, users and message archive in PostgreSQL. The yardstick of goal 2."""

import shutil
from pathlib import Path

from bench.processes import Server, free_port, give_away, listens

DOMAIN = "bench.local"
PASSWORD = "secret"  # noqa: S105 - of a server that lives for minutes on loopback
SCHEMA = Path("/usr/share/ejabberd/sql/pg.sql")
CONFIGURATION = """
hosts: ["{domain}"]
loglevel: error
hide_sensitive_log_data: true
default_db: sql
auth_method: [sql]
auth_password_format: plain
sql_type: pgsql
sql_server: "127.0.0.1"
sql_port: {database_port}
sql_database: ejabberd
sql_username: postgres
sql_password: ""
disable_sasl_mechanisms: ["X-OAUTH2"]
listen:
  - {{port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: false, max_stanza_size: 262144}}
acl: {{local: {{user_regexp: ""}}}}
access_rules: {{local: {{allow: local}}, c2s: {{allow: all}}}}
shaper: {{}}
shaper_rules: {{max_user_sessions: 10}}
modules:
  mod_roster: {{db_type: mnesia}}
  mod_mam: {{db_type: sql, default: always, assume_mam_usage: true}}
"""


class Ejabberd:
    name = "ejabberd"
    kind = "ejabberd"
    ringing = (True, False)
    easy_rate = 20

    def __init__(self):
        self.server = None
        self.port = free_port()

    @staticmethod
    def missing():
        there = shutil.which("ejabberdctl") and shutil.which("erl") and SCHEMA.exists()
        return None if there else "apt-get install --no-install-recommends ejabberd erlang-p1-pgsql"

    def start(self, folder, postgres):
        home = Path(folder) / "ejabberd"
        (home / "spool").mkdir(parents=True)
        for path in (home, home / "spool"):
            give_away(path)
        postgres.create("ejabberd")
        postgres.execute(SCHEMA.read_text(encoding="utf-8"), database="ejabberd")
        fill = f"INSERT INTO users (username, password) SELECT 'u' || n, '{PASSWORD}' FROM generate_series(0, 999) n"  # noqa: S608 - constants
        postgres.execute(fill, database="ejabberd")
        configuration = home / "ejabberd.yml"
        configuration.write_text(
            CONFIGURATION.format(domain=DOMAIN, port=self.port, database_port=postgres.port), encoding="utf-8"
        )
        # Without a node name there is no distribution: no epmd is started, no other port opened.
        libraries = next(Path("/usr/lib").glob("*/ejabberd-*")).parent
        command = ["erl", "+K", "true", "+P", "250000", "-noshell", "-noinput"]
        command += ["-mnesia", "dir", f'"{home / "spool"}"', "-s", "ejabberd"]
        environment = {
            "EJABBERD_CONFIG_PATH": str(configuration),
            "EJABBERD_LOG_PATH": str(home / "ejabberd.log"),
            "ERL_LIBS": str(libraries),
            "HOME": str(home),
            "ERL_CRASH_DUMP_BYTES": "0",
        }
        configuration.chmod(0o644)
        self.server = Server.start("ejabberd-console", command, home, env=environment, root=False)
        self.server.wait_for(lambda: listens(self.port))
        return self

    @property
    def pid(self):
        return self.server.pid

    def load(self, pairs, *, ringing):
        address = {"host": "127.0.0.1", "port": self.port, "domain": DOMAIN, "password": PASSWORD}
        return {**address, "first": 0 if ringing else 500, "pairs": pairs, "ringing": ringing}

    def stop(self):
        if self.server:
            self.server.stop()
