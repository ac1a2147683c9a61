"""The service's own hot statements, read from PostgreSQL's log while it plays one call, as scripts for pgbench.

Nothing of the service is imported: whatever SQL it sends is what pgbench then runs, with the same texts as parameters.
"""

import re
import subprocess
from dataclasses import dataclass
from functools import partial

from bench.postgres import pgbench

EXECUTE = re.compile(
    r"LOG:  execute \S+: (?P<sql>(?:(?!\n\d{4}-).)*)\n[^\n]*\] DETAIL:  [Pp]arameters: (?P<values>(?:(?!\n\d{4}-).)*)",
    re.DOTALL,
)
VALUE = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")
MARK = re.compile(r"\$(\d+)")
LONG = 1_500
"""Texts longer than this are snapshots: they go over the wire as they are, nothing is replaced in them."""


@dataclass(frozen=True)
class Statement:
    """One execution: the SQL with `$1`, `$2`, ... and their values as text (None for NULL)."""

    sql: str
    values: tuple

    @property
    def writes(self):
        return bool(re.search(r"\b(INSERT INTO|UPDATE|DELETE FROM)\b", self.sql))

    def speaks_of(self, word):
        return any(value and word in value for value in self.values)


def parse_log(text):
    """Every prepared statement with parameters in a log written with `log_statement = all`."""
    found = []
    for match in EXECUTE.finditer(text):
        values = {int(number): unquote(value) for number, value in VALUE.findall(match["values"])}
        ordered = tuple(values.get(number) for number in range(1, max(values, default=0) + 1))
        found.append(Statement(untab(match["sql"]), ordered))
    return found


def unquote(value):
    return None if value == "NULL" else value[1:-1].replace("''", "'")


def untab(text):
    """PostgreSQL indents the further lines of a log entry by a tab."""
    return text.replace("\n\t", "\n").strip()


@dataclass(frozen=True)
class Script:
    """A pgbench script with its variables."""

    text: str
    variables: dict


def script_of(statements, call_id, users):
    """The statements of one call as a script that plays a new call of two new users at each turn.

    The call's id and the users' names are replaced wherever they are parameters of their own; every other value is
    sent as recorded.
    """
    lines = [r"\set k :k + 1", r"\set n :client_id * 1000000 + :k"]
    variables = {"k": "0"}
    for number, statement in enumerate(statements):
        names, casts = {}, {}
        for position, value in enumerate(statement.values, start=1):
            if not value:  # pgbench has no empty variables
                names[position] = "NULL" if value is None else "''"
                continue
            name = f"p{number}x{position}"
            variables[name] = value
            names[position] = f"(:{name})" if len(value) > LONG else renewed(f":{name}", value, call_id, users)
            if names[position] != f"(:{name})":
                casts[position] = cast_of(value, call_id)
        sql = MARK.sub(partial(put, names, casts), statement.sql)
        lines.append(" ".join(line.strip() for line in sql.splitlines()).rstrip(";") + ";")
    return Script("\n".join(lines) + "\n", variables)


def put(names, casts, mark):
    """What stands for `$n` in a script: its expression, with the type that the SQL itself does not give."""
    position = int(mark[1])
    typed = mark.string[mark.end() :].lstrip().startswith("::")
    return names.get(position, "NULL") + ("" if typed else casts.get(position, ""))


def renewed(expression, value, call_id, users):
    """The expression with the call's id (with and without dashes) and the users' names made new ones at run time."""
    if call_id in value:
        expression = f"replace({expression}, '{call_id}', '00000000-0000-7000-8000-' || lpad(:n, 12, '0'))"
    for user in users:
        if user in value:
            expression = f"replace({expression}, '{user}', '{user}' || :client_id)"
    return f"({expression})"


def cast_of(value, call_id):
    """The type that the driver knew and a replaced text has lost."""
    kind = "uuid" if call_id in value else "text"
    return f"::{kind}[]" if value.startswith("{") else f"::{kind}"


def run(postgres, database, script, folder, *, clients, seconds):
    """Run the script with prepared statements; gives its rounds per second. None when pgbench is not installed."""
    program = pgbench()
    if program is None:
        return None
    path = folder / "transition.sql"
    path.write_text(script.text, encoding="utf-8")
    defines = [part for name, value in script.variables.items() for part in ("-D", f"{name}={value}")]
    options = ["-n", "-M", "prepared", "-c", clients, "-j", 1, "-T", seconds, "-f", path]
    place = ["-h", "127.0.0.1", "-p", postgres.port, "-U", "postgres"]
    command = [program, *options, *place, *defines, database]
    answer = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=folder)
    if answer.returncode or "tps = " not in answer.stdout:
        raise RuntimeError(f"pgbench: {answer.stderr.strip()[-500:]}")
    return rate_of(answer.stdout)


def rate_of(output):
    return float(re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)[1])
