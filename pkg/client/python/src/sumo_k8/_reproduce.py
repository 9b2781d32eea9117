"""What a manifest says to run again, and how the results compare."""

from __future__ import annotations

import html
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from . import _show, types
from .errors import SumoK8Error

FORMAT = 1
"""The form of manifests that is known here."""

LABEL = "reproduces"
"""Of a run that repeats another; its value is the other's id."""


def read(source: types.Manifest | str | os.PathLike[str]) -> types.Manifest:
    """The manifest, or that of a file, if its form is known."""
    manifest = cast("types.Manifest", json.loads(Path(source).read_text("utf-8"))) if isinstance(source, (str, os.PathLike)) else source
    if manifest.get("format") != FORMAT:
        raise SumoK8Error(f"the manifest has the format {manifest.get('format')}, and this package knows {FORMAT} only: use a newer one")
    return manifest


def submission(manifest: types.Manifest) -> types.SubmissionOptions:
    """How a single job runs what manifest describes."""
    return cast("types.SubmissionOptions", _fields(manifest, types.SubmissionOptions))


def study_of_one(manifest: types.Manifest) -> types.CreateStudyBody:
    """A study whose only run is that of manifest. What single jobs cannot choose are axes with one value."""
    options = manifest["options"]
    chosen = [(f"option:{name}", value) for name, value in options.get("sumo_options", {}).items()]
    chosen += [(f"xml:{_attribute(a)}", a["value"]) for a in options.get("attributes", [])]
    body: dict[str, Any] = {
        "name": f"reproduction of {manifest['job_id']}",
        "variants": [{"name": "again", "scenario": manifest["scenario"]["id"]}],
        "run": _fields(manifest, types.StudyRun),
        "replications": {"seeds": [manifest["seed"]]},
        "axes": [{"name": f"choice {i}", "set": what, "values": [value]} for i, (what, value) in enumerate(chosen, 1)],
        "metrics": options.get("metrics", []),
        "cache": "off",
    }
    return cast("types.CreateStudyBody", {k: v for k, v in body.items() if v != []})


def _fields(manifest: types.Manifest, known: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        **manifest["options"],
        "cpu_request": manifest["cpu_request"],
        "memory_gi": manifest["memory_gi"],
        "timeout_seconds": manifest["timeout_seconds"],
        "labels": {LABEL: manifest["job_id"]},
    }
    return {name: value for name, value in fields.items() if name in known.__annotations__}


def _attribute(a: types.Attribute) -> str:
    """The attribute as an axis sets it."""
    where = ""
    if a.get("key"):
        quote = '"' if "'" in a.get("equals", "") else "'"
        where = f"[@{a['key']}={quote}{a.get('equals', '')}{quote}]"
    return f"{a['file']}#{a['element']}{where}/@{a['name']}"


@dataclass(frozen=True)
class ComparedFile:
    """One file of two runs."""

    name: str
    verdict: str
    """equal, different, missing (only the earlier run left it), further (only the later one did) or not compared"""
    remark: str = ""


@dataclass(frozen=True)
class ManifestComparison:
    """What a run and its repetition have in common."""

    same: bool
    """The later run has every compared file of the earlier one with the same content, no further one, and ended the same way."""
    files: list[ComparedFile]
    notes: list[str]
    """What may explain differences."""

    def __repr__(self) -> str:
        lines = [f"{f.name:<32} {f.verdict:<12} {f.remark}".rstrip() for f in self.files]
        return "\n".join([*lines, *self.notes, "the same" if self.same else "not the same"])

    def _repr_html_(self) -> str:
        rows = [(f.name, html.escape(f"{f.verdict} {f.remark}")) for f in self.files]
        return _show.rows([*rows, *(("note", html.escape(n)) for n in self.notes)])


def compared(was: types.Manifest, now: types.Manifest) -> ManifestComparison:
    """Compare the results of now, which repeats was."""
    notes = []
    facts: list[tuple[str, str, str]] = [
        ("The end", was["status"], now["status"]),
        ("The scenario", was["scenario"]["id"], now["scenario"]["id"]),
        ("The build of SUMO", was["sumo"]["build"], now["sumo"]["build"]),
    ]
    image, image_now = was["sumo"].get("image", ""), now["sumo"].get("image", "")
    if not _same_image(image, image_now):
        facts.append(("The image", image, image_now))
    for what, old, new in facts:
        if old != new:
            notes.append(f"{what} was {old or 'unknown'} and is {new or 'unknown'}.")
    before, after = ({f["name"]: f for f in m["files"]} for m in (was, now))
    files = [_file(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]
    same = was["status"] == now["status"] and all(f.verdict in ("equal", "not compared") for f in files)
    if all(f.verdict == "not compared" for f in files):
        same = False
        notes.append("No file could be compared.")
    return ManifestComparison(same, files, notes)


def _same_image(a: str, b: str) -> bool:
    """Whether two images may be the same: those with the same digest are, and without digests the name is all that is known."""
    (name_a, _, digest_a), (name_b, _, digest_b) = a.partition("@"), b.partition("@")
    return digest_a == digest_b if digest_a and digest_b else name_a == name_b


def _file(name: str, was: types.ManifestFile | None, now: types.ManifestFile | None) -> ComparedFile:
    for file in (now, was):
        if file is not None and file.get("varies"):
            return ComparedFile(name, "not compared", file["varies"])
    if now is None:
        return ComparedFile(name, "missing")
    if was is None:
        return ComparedFile(name, "further")
    if was.get("content_sha256") and now.get("content_sha256"):
        return ComparedFile(name, "equal" if was["content_sha256"] == now["content_sha256"] else "different")
    if not was.get("sha256") or not now.get("sha256"):
        return ComparedFile(name, "not compared", "has no checksum")
    if was["sha256"] == now["sha256"]:
        return ComparedFile(name, "equal")
    return ComparedFile(name, "different", "compared as a whole, with dates in it if it has any")
