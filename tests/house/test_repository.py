"""What may stand in the repository: nothing of one machine, no registry, no secret, nothing huge."""

import re
import tomllib

import pytest

from tests.house.source import ROOT, here, lines_with_numbers, repository_files, text_of

# Written in pieces, so that this file does not find itself.
REGISTRY = re.compile(
    "|".join(
        (
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "registry" + r"\.npmjs",
            r"https?://\S*/(simple|packages|dists|-)" + "/",
            "--(extra-)?" + "index-url[ =]",
            "--" + "find-links[ =]",
        )
    )
)
SECRET = re.compile(
    "|".join(
        (
            "-----BEGIN " + "[A-Z ]*PRIVATE KEY",
            r"\bAKIA" + "[0-9A-Z]{16}",
            r"\bgh[pousr]_" + "[A-Za-z0-9]{36}",
            r"\bxox[baprs]-" + "[0-9A-Za-z-]{20}",
        )
    )
)
HOME = re.compile("(?<![A-Za-z0-9_.-])/(home|Users|root)" + "/[A-Za-z0-9._-]+")
MAX_KIB = 1024


def findings(pattern):
    return [
        f"{here(path, number)}: {line.strip()[:100]}"
        for path in repository_files()
        for number, line in lines_with_numbers(path)
        if pattern.search(line)
    ]


def test_no_registry_host_is_named():
    assert findings(REGISTRY) == []


def test_no_key_or_token_is_kept():
    assert findings(SECRET) == []


def test_no_path_of_one_machine_is_named():
    assert findings(HOME) == []
    if len(ROOT.parts) > 2:  # a checkout in /src would find every folder of that name
        assert findings(re.compile("(?<![A-Za-z0-9_.-])" + re.escape(str(ROOT)) + r"\b")) == []


def test_no_file_is_larger_than_a_mebibyte():
    assert [here(path) for path in repository_files() if path.stat().st_size > MAX_KIB * 1024] == []


def test_text_files_end_with_a_newline_and_carry_no_conflict():
    faults = []
    for path in repository_files():
        text = text_of(path)
        if text and (not text.endswith("\n") or re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE)):
            faults.append(here(path))
    assert faults == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"])
def test_every_locked_package_carries_a_hash_and_nothing_else_is_said(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text


def test_every_runtime_lock_is_part_of_the_development_lock():
    def pins(name):
        return set(re.findall(r"^[A-Za-z0-9._-]+==\S+", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))

    assert pins("requirements.lock") < pins("requirements-dev.lock")
    assert pins("requirements-build.lock") < pins("requirements-dev.lock")


def test_every_direct_dependency_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = set(
        re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    )
    wanted = {re.match(r"[A-Za-z0-9._-]+", line)[0].lower().replace("_", "-") for line in project["dependencies"]}
    assert wanted <= {name.lower() for name in locked}


def test_every_silenced_rule_says_why():
    """`# noqa` and `# type: ignore` name their rule, and give a reason behind it."""
    silenced = re.compile(
        r"#\s*(noqa|type:\s*ignore)(?P<rule>(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*|\[[a-z-]+(,\s*[a-z-]+)*\]))?(?P<why>.*)"
    )
    faults = [
        f"{here(path, number)}: {line.strip()[:100]}"
        for path in repository_files()
        if path.suffix == ".py" and "house" not in path.parts
        for number, line in lines_with_numbers(path)
        if (found := silenced.search(line)) and (not found["rule"] or len(found["why"].strip(" #-:")) < 8)
    ]
    assert faults == []
