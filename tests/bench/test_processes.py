import os

from bench.processes import cpu_seconds, descendants, parse_stat, resident_kb, tree_of


def test_a_process_name_may_hold_brackets_and_blanks():
    fields = ["S", "7", *["0"] * 9, "10", "20", "3", "4", *["0"] * 6, "555", "0"]
    assert parse_stat(f"42 (a ) b (c) {' '.join(fields)}") == (7, 37, 555)


def test_a_tree_is_all_that_descends():
    parents = {1: 0, 2: 1, 3: 2, 4: 1, 5: 0}
    assert descendants(parents, (2,)) == {2, 3}
    assert descendants(parents, (1, 5)) == {1, 2, 3, 4, 5}
    assert descendants(parents, (99,)) == set()


def test_this_process_is_there_and_has_used_something():
    assert os.getpid() in tree_of(os.getpid())
    assert cpu_seconds(os.getpid()) > 0
    assert resident_kb(os.getpid()) > 1000
