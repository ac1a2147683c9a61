import json

from bench.recorded import Statement, parse_log, rate_of, script_of

CALL = "019aa000-0000-7000-8000-00000000abcd"
SNAPSHOT = json.dumps({"id": CALL, "padding": "x" * 2000})
LOG = """\
2026-11-20 06:00:00.000 UTC [12] LOG:  statement: SET jit = off
2026-11-20 06:00:00.000 UTC [12] LOG:  execute __asyncpg_stmt_1__: SELECT 1
2026-11-20 06:00:00.100 UTC [12] LOG:  execute __asyncpg_stmt_2__: SELECT body FROM calls
\t WHERE id = $1
2026-11-20 06:00:00.100 UTC [12] DETAIL:  Parameters: $1 = '@CALL@'
2026-11-20 06:00:00.200 UTC [13] LOG:  execute __asyncpg_stmt_3__: UPDATE calls SET body = $2, note = $3
\t WHERE id = ANY($1::uuid[]) AND caller = $4
2026-11-20 06:00:00.200 UTC [13] DETAIL:  Parameters: $1 = '{@CALL@}', $2 = '@SNAPSHOT@', $3 = NULL, $4 = 'it''s ann'
2026-11-20 06:00:00.300 UTC [12] LOG:  checkpoint starting: time
""".replace("@CALL@", CALL).replace("@SNAPSHOT@", SNAPSHOT)


def test_executions_are_read_with_their_parameters():
    read, write = parse_log(LOG)
    assert read.sql == "SELECT body FROM calls\n WHERE id = $1"
    assert read.values == (CALL,)
    assert not read.writes
    assert write.writes
    assert write.values == (f"{{{CALL}}}", SNAPSHOT, None, "it's ann")
    assert write.speaks_of(CALL)
    assert not write.speaks_of("bob")


def test_a_script_plays_new_calls_with_the_recorded_texts():
    script = script_of(parse_log(LOG), CALL, ("ann",))
    lines = script.text.splitlines()
    assert lines[0] == r"\set k :k + 1"
    assert len(lines) == 4
    assert lines[2].startswith("SELECT body FROM calls WHERE id = (replace(:p0x1, ")
    assert lines[2].endswith("::uuid;")
    assert "ANY((replace(:p1x1, " in lines[3]
    assert "body = (:p1x2)" in lines[3]
    assert "note = NULL" in lines[3]
    assert "'ann' || :client_id)" in lines[3]
    assert lines[3].endswith("::text;")
    assert script.variables["p1x2"] == SNAPSHOT


def test_a_parameter_gets_its_type_wherever_the_sql_gives_none():
    statement = Statement("SELECT u FROM unnest($1::text[]) u WHERE u = ANY ($1)", ("{ann}",))
    (_, _, sql) = script_of([statement], CALL, ("ann",)).text.splitlines()
    assert "unnest((replace(:p0x1, 'ann', 'ann' || :client_id))::text[])" in sql
    assert sql.endswith("ANY ((replace(:p0x1, 'ann', 'ann' || :client_id))::text[]);")


def test_the_rate_is_read_from_what_pgbench_says():
    said = "latency average = 2.1 ms\ntps = 15234.567 (without initial connection time)\n"
    assert rate_of(said) == 15234.567
