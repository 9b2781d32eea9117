"""Fields of a submission, as a form sends them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from . import types
from ._source import Scenario

STORED = re.compile(r"[0-9a-f]{64}\Z")
"""Ids of stored scenarios: a SHA-256 in hexadecimal."""


def form_fields(options: Mapping[str, Any]) -> Iterator[tuple[str, str | list[str]]]:
    """The fields that say options. The service ignores unknown ones, so that misspelt ones must be found here."""
    for name, value in options.items():
        if name not in types.SubmissionOptions.__annotations__:
            raise TypeError(f"submit() got an unexpected keyword argument {name!r}")
        if value is None:
            continue
        if isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, Mapping):
            yield name, json.dumps(value, allow_nan=False)
        elif isinstance(value, (list, tuple, set, frozenset)):
            yield name, [str(v) for v in value]
        else:
            yield name, str(value)


def name_of(scenario: Scenario) -> str:
    """What a run is called that has no name: as its folder or zip is."""
    text = str(scenario)
    if STORED.match(text):
        return text[:12]
    name = re.split(r"[/\\]", text.rstrip("/\\"))[-1]
    if name.endswith(".zip"):
        name = name[: -len(".zip")]
    return name[:100] if name not in ("", ".", "..") else "scenario"
