from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pandas as pd
import pytest

from sumo_k8 import ApiError, AsyncClient, Client, Job

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


def test_tables_that_do_not_exist_are_refused(job: Job) -> None:
    with pytest.raises(ApiError):
        job.table("fcd")
    with pytest.raises(ApiError):
        job.table("summary", ["no such column"])


def test_tables_by_coroutines(job: Job, key: str) -> None:
    async def use() -> None:
        async with AsyncClient(os.environ["SUMO_K8_URL"], key) as client:
            frame = await (await client.job(job.id)).table("tripinfo", ["id", "duration"])
            assert list(frame.columns) == ["id", "duration"]

    asyncio.run(use())
