from __future__ import annotations

import asyncio
import os
import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pandas as pd
import pytest

from sumo_k8 import ApiError, AsyncClient, Client, Job, _frames

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def job(client: Client, networks: Path) -> Job:
    return client.submit(networks / "corridor.zip", seed=1).wait()


def test_a_table_has_the_values_of_the_xml_and_their_units(job: Job, tmp_path: Path) -> None:
    (path,) = job.results.download(tmp_path, "tripinfo.xml")
    trips = [element.attrib for element in ElementTree.parse(path).getroot().iter("tripinfo")]
    frame = job.table("tripinfo")
    assert list(frame["id"]) == [trip["id"] for trip in trips]
    for column in ("depart", "arrival", "duration", "routeLength", "timeLoss", "waitingTime"):
        assert list(frame[column]) == [float(trip[column]) for trip in trips], column
    assert list(frame["vType"]) == [trip["vType"] for trip in trips]
    assert frame.attrs["units"]["timeLoss"] == "s"
    assert frame.attrs["units"]["routeLength"] == "m"
    assert frame.attrs["descriptions"]["timeLoss"]
    assert frame.attrs["complete"]


def test_columns_and_intervals_are_chosen(job: Job) -> None:
    assert "summary" in job.tables()
    whole = job.table("summary")
    time = whole.attrs["time_column"]
    part = job.table("summary", ["running", time], begin=100, end=200)
    assert list(part.columns) == ["running", time]
    assert part[time].min() >= 100
    assert part[time].max() < 200
    expected = whole[(whole[time] >= 100) & (whole[time] < 200)][["running", time]].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected, check_frame_type=False)
    assert set(part.attrs["units"]) == {time, "running"}
    assert list(job.table("summary", "running").columns) == ["running"]


def test_tables_that_do_not_exist_are_refused(job: Job) -> None:
    with pytest.raises(ApiError):
        job.table("fcd")
    with pytest.raises(ApiError):
        job.table("summary", ["no such column"])


def test_a_variant_that_looks_like_a_number_is_a_text(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "runs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for variant in ("2030", "%C2%B2"):
            raw = job._client.api.get_table(job.id, "summary", format="parquet", columns=["time"])
            archive.writestr(f"summary/study=1/point=0/variant={variant}/replication=0/seed=7/summary.parquet", raw)
    frame = _frames.of_all_runs(path.read_bytes())
    assert set(frame["variant"]) == {"2030", "²"}
    assert set(frame["study"]) == {"1"}
    assert set(frame["seed"]) == {7}


def test_tables_by_coroutines(job: Job, key: str) -> None:
    async def use() -> None:
        async with AsyncClient(os.environ["SUMO_K8_URL"], key) as client:
            frame = await (await client.job(job.id)).table("tripinfo", ["id", "duration"])
            assert list(frame.columns) == ["id", "duration"]

    asyncio.run(use())
