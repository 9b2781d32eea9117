"""Which files are downloaded, and where to."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path

from . import types
from .errors import SumoK8Error


def chosen(files: list[types.ResultLink], names: Sequence[str]) -> list[types.ResultLink]:
    """The files that names stand for, in the order of files: a path, or a base name; with wildcards. All of them without names."""
    if not names:
        return files
    found: dict[str, types.ResultLink] = {}
    for name in names:
        hits = [f for f in files if fnmatch.fnmatchcase(f["name"], name) or fnmatch.fnmatchcase(f["name"].rpartition("/")[2], name)]
        if not hits:
            raise SumoK8Error(f"There is no file {name}. There are: {', '.join(f['name'] for f in files) or 'none'}.")
        found.update((f["name"], f) for f in hits)
    return [f for f in files if f["name"] in found]


def inside(root: Path, name: str) -> Path:
    """The place of a file below root. Names come from the service, and must not lead elsewhere."""
    target = root.joinpath(*name.split("/"))
    if ".." in target.parts[len(root.parts) :] or not target.resolve().is_relative_to(root.resolve()):
        raise SumoK8Error(f"The file name {name!r} leads out of {root}.")
    return target
