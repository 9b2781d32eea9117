"""Which files are downloaded, and where to."""

from __future__ import annotations

import base64
import fnmatch
import glob
import hashlib
import re
import secrets
import time
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


ABANDONED = 24 * 3600
"""Seconds since the last write to a part whose process is gone: far longer than any transfer is waited for."""


def part_of(target: Path) -> Path:
    """A name for what there is of a file until it is complete. Another process, or thread, may write the same file just now, so that each
    has a part of its own. Those that killed processes have left are removed; sumo-k8 has the same names.
    """
    for left in target.parent.glob(glob.escape(target.name) + ".*.part"):
        if re.fullmatch("[A-Z2-7]{26}", left.name[len(target.name) + 1 : -len(".part")]):
            try:
                if time.time() - left.stat().st_mtime > ABANDONED:
                    left.unlink()
            except FileNotFoundError:
                pass
    return target.with_name(f"{target.name}.{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=')}.part")


def is_there(target: Path, size: int, sha256: str | None) -> bool:
    """Whether a file has been downloaded before. Its size alone does not say so."""
    if not sha256 or not target.is_file() or target.stat().st_size != size:
        return False
    checksum = hashlib.sha256()
    with target.open("rb") as file:
        while chunk := file.read(1 << 20):
            checksum.update(chunk)
    return checksum.hexdigest() == sha256.lower()
