from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sumo_k8 import Client, SumoK8Error, _reproduce

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_is_reproduced(client: Client, networks: Path) -> None:
    job = client.submit(networks / "cross.zip", seed=5, end=300, outputs=["edgedata"]).wait()
    manifest: Any = json.loads(json.dumps(job.manifest))
    again, comparison = client.reproduce(manifest)
    assert again.id != job.id
    assert again.document["labels"] == {"reproduces": job.id}
    assert comparison.same
    assert {f.name: f.verdict for f in comparison.files}["tripinfo.xml"] == "equal"
    assert "tripinfo.xml" in repr(comparison)

    manifest["options"]["seed"] = 6
    other, comparison = client.reproduce(manifest)
    assert other.document["seed"] == 6
    assert not comparison.same
    assert {f.name: f.verdict for f in comparison.files}["tripinfo.xml"] == "different"


def test_a_run_of_a_study_is_reproduced_with_what_only_studies_choose(client: Client, networks: Path, tmp_path: Path) -> None:
    study = client.study(
        networks / "cross.zip",
        seeds=[3],
        run={"end": 300},
        axes=[
            {"name": "green", "set": "xml:cross.net.xml#phase[@state='GGgrrrrGGgrrrr']/@duration", "values": [35]},
            {"name": "teleport", "set": "option:time-to-teleport", "values": ["120"]},
        ],
    ).wait()
    (job,) = study.jobs()
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(job.manifest))
    again, comparison = client.reproduce(file)
    assert again.document["study_id"] not in ("", study.id)
    assert comparison.same, comparison


def test_other_forms_of_manifests_are_refused(client: Client) -> None:
    with pytest.raises(SumoK8Error, match="format 2"):
        client.reproduce({"format": 2})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("was", "now", "verdict"),
    [
        ({"content_sha256": "a", "sha256": "1"}, {"content_sha256": "a", "sha256": "2"}, "equal"),
        ({"content_sha256": "a"}, {"content_sha256": "b"}, "different"),
        ({"sha256": "a"}, {"sha256": "a"}, "equal"),
        ({"sha256": "a"}, {"sha256": "b"}, "different"),
        ({"sha256": "a"}, {}, "not compared"),
        ({"varies": "has times"}, {}, "not compared"),
        ({}, None, "missing"),
        (None, {}, "further"),
    ],
)
def test_files_compare_by_what_equal_runs_have_in_common(was: Any, now: Any, verdict: str) -> None:
    def manifest(file: Any) -> Any:
        files = [] if file is None else [{"name": "f", **file}]
        return {"status": "SUCCEEDED", "scenario": {"id": "s"}, "sumo": {"build": "1.28.0"}, "files": files}

    comparison = _reproduce.compared(manifest(was), manifest(now))
    assert [f.verdict for f in comparison.files] == [verdict]
    assert comparison.same == (verdict == "equal")


@pytest.mark.parametrize(
    ("was", "now", "noted"),
    [
        ("sumo:1.28", "sumo:1.28@sha256:a", False),
        ("sumo:1.28@sha256:a", "example.org/sumo:1.28@sha256:a", False),
        ("sumo:1.28@sha256:a", "sumo:1.28@sha256:b", True),
        ("sumo:1.26", "sumo:1.28", True),
        ("", "sumo:1.28", True),
    ],
)
def test_another_image_is_noted(was: str, now: str, noted: bool) -> None:
    def manifest(image: str) -> Any:
        sumo = {"build": "1.28.0", "image": image}
        return {"status": "SUCCEEDED", "scenario": {"id": "s"}, "sumo": sumo, "files": []}

    notes = _reproduce.compared(manifest(was), manifest(now)).notes
    assert any(note.startswith("The image") for note in notes) == noted
