from bench.stacks import lines, name_of, parse

FOLDED = """\
serve (/service/app.py:1);do (/service/switchboard/board.py:9);fetch (/python3.11/site-packages/asyncpg/pool.py:7) 30
serve (/service/app.py:1);do (/service/switchboard/board.py:9) 10
serve (/service/app.py:1);dumps (/x/lib/python3.11/json/__init__.py:3) 60
not a stack
"""


def test_samples_are_counted_by_function_and_by_place():
    shares = parse(FOLDED)
    assert shares.total == 100
    assert shares.own[("service/switchboard", "do (board.py)")] == 10
    assert shares.within[("service/switchboard", "do (board.py)")] == 40
    assert shares.rooms == {"asyncpg": 30, "service/switchboard": 10, "json": 60}


def test_the_dearest_stand_first():
    text = "\n".join(lines(parse(FOLDED), 3))
    assert text.index("| json | 60.0 % |") < text.index("| asyncpg | 30.0 % |")
    assert "| `do (board.py)` | service/switchboard | 40.0 % |" in text


def test_a_frame_without_a_file_belongs_to_the_process():
    assert name_of("process 12") == ("process", "process 12")


def test_no_samples_are_told_as_such():
    assert lines(parse(""), 3) == ["No samples were taken."]
