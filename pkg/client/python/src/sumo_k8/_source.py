"""Scenarios on this machine, as the zip that is sent."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Union, cast

from .errors import ScenarioError

Scenario = Union[str, "os.PathLike[str]"]
"""A folder, a zip, s3://bucket/key of a zip, or the id of a stored scenario."""

IN_MEMORY = 16 << 20
"""Bytes of a packed folder that are kept in memory; larger ones go to a temporary file."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip can hold."""


@contextmanager
def opened(scenario: Scenario) -> Iterator[tuple[str, IO[bytes]]]:
    """The name and content of the zip at a path, or of one made of the folder there."""
    if not os.fspath(scenario):  # as a Path, this would be the current folder
        raise ScenarioError("The path of the scenario is empty: it may come from a variable that is not set.")
    path = Path(scenario)
    if path.is_dir():
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
            packed = cast("IO[bytes]", file)
            pack(path, packed)
            packed.seek(0)
            yield path.resolve().name + ".zip", packed
        return
    try:
        with path.open("rb") as content:
            yield path.name, content
    except FileNotFoundError:
        raise ScenarioError(f"There is no file or folder {path}, and it is no id of a stored scenario either.") from None


def pack(folder: Path, out: IO[bytes]) -> None:
    """Write a zip of the files below folder. Files and folders whose names begin with a dot are skipped. The same files always make
    the same zip, so that the service stores them once.
    """
    with zipfile.ZipFile(out, "w") as archive:
        for file in sorted(_files(folder), key=lambda p: p.relative_to(folder).as_posix()):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
            # What is compressed already gains nothing from a second time.
            info.compress_type = zipfile.ZIP_STORED if file.suffix == ".gz" else zipfile.ZIP_DEFLATED
            with file.open("rb") as content, archive.open(info, "w", force_zip64=file.stat().st_size >= 1 << 31) as entry:
                shutil.copyfileobj(content, entry, 1 << 20)


def _files(folder: Path, root: Path | None = None) -> Iterator[Path]:
    root = root or folder.resolve()
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        # A link must not bring in files from elsewhere, nor lead around in a circle.
        if entry.is_symlink() and (entry.is_dir() or root not in entry.resolve().parents):
            raise ScenarioError(f"{entry} is a link to a folder, or out of the scenario; put what it links to in its place")
        if entry.is_dir():
            yield from _files(entry, root)
        elif entry.is_file():
            yield entry
        else:
            raise ScenarioError(f"{entry} is neither a file nor a folder; take it out, or pack the folder yourself")
