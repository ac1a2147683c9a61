"""Writes `openapi/`: `python -m service.api.schema` (`make openapi`). The tests compare the files with the sources."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from service.api.application import ROUTERS
from service.api.openapi import document
from service.wire import asyncapi

FOLDER = Path(__file__).resolve().parents[2] / "openapi"


class Plain(yaml.SafeDumper):
    """Every value in full: no anchors for parts that occur twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def text(made: Mapping[str, Any]) -> str:
    """A document as YAML."""
    return yaml.dump(dict(made), Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)


def files() -> dict[str, str]:
    """The contents of `openapi/`, by file name."""
    return {
        "openapi.yaml": text(document(route for router in ROUTERS for route in router.routes)),
        "asyncapi.yaml": text(asyncapi.document()),
    }


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
