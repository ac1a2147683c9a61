"""Kamailio: a SIP proxy in C that keeps the state of every dialog in PostgreSQL, written at each change."""

import shutil
import socket
from pathlib import Path

from bench.processes import Server, free_port, give_away

SCHEMAS = Path("/usr/share/kamailio/postgres")
CONFIGURATION = """
debug=0
log_stderror=yes
fork=yes
children=4
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
loadmodule "kex.so"
loadmodule "db_postgres.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "dialog.so"
modparam("usrloc", "db_mode", 0)
modparam("rr", "append_fromtag", 1)
modparam("dialog", "db_url", "postgres://postgres:none@127.0.0.1:{database_port}/kamailio")
modparam("dialog", "db_mode", 1)
modparam("dialog", "default_timeout", 600)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("404", "Not here"); exit;
    }}
    if (is_method("REGISTER")) {{ save("location"); exit; }}
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
    t_check_trans();
    record_route();
    dlg_manage();
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
"""


class Kamailio:
    name = "Kamailio"
    kind = "kamailio"
    ringing = (True,)
    easy_rate = 20

    def __init__(self):
        self.server = None
        self.port = free_port(socket.SOCK_DGRAM)

    @staticmethod
    def missing():
        there = shutil.which("kamailio") and (SCHEMAS / "dialog-create.sql").exists()
        return None if there else "apt-get install --no-install-recommends kamailio kamailio-postgres-modules"

    def start(self, folder, postgres):
        home = Path(folder) / "kamailio"
        home.mkdir()
        give_away(home)
        postgres.create("kamailio")
        for script in ("standard-create.sql", "dialog-create.sql"):
            postgres.execute((SCHEMAS / script).read_text(encoding="utf-8"), database="kamailio")
        configuration = home / "kamailio.cfg"
        configuration.write_text(CONFIGURATION.format(port=self.port, database_port=postgres.port), encoding="utf-8")
        # Ended transactions stay in the shared memory for seconds: the default of 64 MB is full under load.
        command = [
            "kamailio",
            "-m",
            "1024",
            "-DD",
            "-E",
            "-f",
            configuration,
            "-w",
            home,
            "-Y",
            home,
            "-P",
            home / "pid",
        ]
        self.server = Server.start("kamailio", command, home, root=False)
        self.server.wait_for(self.answers)
        return self

    def answers(self):
        """A proxy on UDP answers a request it has no route for."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.settimeout(0.3)
            here = f"127.0.0.1:{probe.getsockname()[1]}"
            text = (
                f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKp\r\n"
                f"Max-Forwards: 5\r\nFrom: <sip:p@{here}>;tag=p\r\nTo: <sip:p@{here}>\r\nCall-ID: probe\r\n"
                "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            )
            try:
                probe.sendto(text.encode(), ("127.0.0.1", self.port))
                return probe.recv(2048).startswith(b"SIP/2.0")
            except OSError:
                return False

    @property
    def pid(self):
        return self.server.pid

    def load(self, pairs, *, ringing):
        return {"host": "127.0.0.1", "port": self.port, "pairs": pairs, "ringing": ringing}

    def stop(self):
        if self.server:
            self.server.stop()
