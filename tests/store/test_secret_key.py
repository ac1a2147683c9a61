"""The key that a service makes for itself: once, for its own user alone, and never another one."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.store.secret_key import FILE, SecretKeyError, own_key


def test_it_is_made_once_and_is_its_owners_alone(tmp_path):
    folder = tmp_path / "data"
    assert own_key(folder, make=False) is None
    assert not folder.exists()
    key = own_key(folder, make=True)
    assert len(key) >= 40
    assert own_key(folder, make=True) == own_key(folder, make=False) == key
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [FILE], "no draft is left"


def test_those_who_begin_at_once_have_the_same(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: own_key(tmp_path, make=True), range(64)))
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (b"a key of the tests only", 0o644, "others may read"),
        (b"a key of the tests only", 0o620, "others may read"),
        (b"hunter2", 0o600, "shorter than 16 characters"),
        (b"", 0o600, "shorter than 16 characters"),
        (b"\xff" * 40, 0o600, "it is not text"),
    ],
)
def test_one_that_is_no_good_is_told_of_without_the_key(tmp_path, content, mode, why):
    path = tmp_path / FILE
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(SecretKeyError, match=why) as raised:
        own_key(tmp_path, make=True)
    assert str(path) in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert path.read_bytes() == content, "it is not made anew: what it sealed could not be opened any more"


def test_a_folder_that_cannot_be_written_is_told_of(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SecretKeyError, match="cannot be used"):
        own_key(tmp_path / "file" / "data", make=True)
