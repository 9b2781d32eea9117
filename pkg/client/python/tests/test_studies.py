from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from sumo_k8 import AsyncClient, Client, Study, StudyFailedError, WaitTimeoutError

if TYPE_CHECKING:
    from pathlib import Path

    from sumo_k8 import types

GREEN: types.Axis = {
    "name": "green",
    "set": "xml:cross.net.xml#phase[@state='GGgrrrrGGgrrrr']/@duration",
    "values": [42, 35],
}


@pytest.fixture(scope="module")
def study(client: Client, networks: Path) -> Study:
    """A finished study of two points with four seeds each."""
    return client.study(
        networks / "cross.zip",
        seeds="1:4",
        axes=[GREEN],
        baseline={"values": {"green": 42}},
        metrics=["mean_time_loss", "mean_speed"],
    ).wait()


def test_a_study_is_made_and_waited_for(study: Study, client: Client) -> None:
    assert (study.status, study.name, study.done) == ("SUCCEEDED", "cross", True)
    assert study.document["runs"]["succeeded"] == 8
    assert client.get_study(study.id).document["seeds"] == [1, 2, 3, 4]
    assert {j.document["study_id"] for j in study.jobs()} == {study.id}
    assert len(list(study.jobs(point=1))) == 4
    assert "green 35" in study._repr_html_()


def test_statistics_have_a_row_for_each_point_and_metric(study: Study) -> None:
    frame = study.statistics("mean_time_loss", confidence=0.9)
    assert list(frame["label"]) == ["base, green 42", "base, green 35"]
    assert list(frame["green"]) == [42, 35]
    assert (frame["low"] < frame["mean"]).all()
    assert (frame["n"] == 4).all()
    assert frame.attrs["units"] == {"mean_time_loss": "s"}
    assert frame.attrs["confidence"] == 0.9
    assert len(study.statistics()) == 4


def test_comparisons_say_their_verdict(study: Study) -> None:
    frame = study.comparison("mean_time_loss")
    assert len(frame) == 1
    row = frame.iloc[0]
    assert row["method"] == "paired"
    assert row["difference"] == pytest.approx(row["mean"] - row["baseline_mean"])
    assert "Mean time loss" in row["sentence"]
    assert frame.attrs["adjustment"]
    other = study.comparison("mean_time_loss", baseline={"values": {"green": 35}}).iloc[0]
    assert other["difference"] == pytest.approx(-row["difference"])


def test_an_axis_may_be_called_like_a_column(client: Client, networks: Path) -> None:
    demand: types.Axis = {"name": "mean", "set": "scale", "values": [0.8, 1.0]}
    end: types.Axis = {"name": "value", "set": "end", "values": [300]}
    both = client.study(
        networks / "cross.zip", seeds="1:2", axes=[demand, end], baseline={"values": {"mean": 1.0}}, metrics=["mean_time_loss"]
    ).wait()
    frame = both.statistics()
    assert list(frame["axis.mean"]) == [0.8, 1.0]
    assert list(frame["value"]) == [300, 300]
    assert frame["mean"].between(frame["low"], frame["high"]).all()
    assert list(both.comparison()["axis.mean"]) == [0.8]
    table = both.table("mean_time_loss")
    assert list(table.groupby("mean")["value"].mean()) == pytest.approx(list(frame["mean"]))
    assert set(table["axis.value"]) == {300}


def test_the_table_has_a_row_for_each_run_and_metric(study: Study) -> None:
    frame = study.table("mean_time_loss", "mean_speed")
    assert len(frame) == 16
    assert frame.attrs["units"] == {"mean_time_loss": "s", "mean_speed": "m/s"}
    mean = frame[frame["metric"] == "mean_time_loss"].groupby("green")["value"].mean()
    expected = study.statistics("mean_time_loss").set_index("green")["mean"]
    pd.testing.assert_series_equal(mean.sort_index(), expected.sort_index(), check_names=False)


def test_outputs_of_all_runs_are_one_table(study: Study) -> None:
    frame = study.outputs("tripinfo")
    assert frame.attrs["units"]["timeLoss"] == "s"
    runs = study.table("mean_time_loss").set_index(["point", "seed"])["value"]
    means = frame.groupby(["point", "seed"])["timeLoss"].mean()
    assert dict(means) == pytest.approx(dict(runs), abs=0.01)
    assert set(frame["variant"]) == {"base"}


def test_plots_and_reports(study: Study, tmp_path: Path) -> None:
    assert "<svg" in str(study.plot(metric="mean_time_loss")._repr_svg_())
    picture = study.plot(study.plots()[-1], metric="mean_time_loss", axis="green", format="png", theme="dark", width=800)
    assert picture.save(tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "</html>" in study.report(tmp_path / "report.html").read_text()


def test_studies_wait_with_a_limit_and_are_cancelled(client: Client, endless: Path) -> None:
    study = client.study(variants={"one": endless, "two": endless}, seeds=[1, 2], name="endless")
    with pytest.raises(WaitTimeoutError, match="goes on"):
        study.wait(timeout=0.5)
    study.cancel()
    with pytest.raises(StudyFailedError, match=study.id):
        study.wait()
    assert study.status == "CANCELLED"
    study.purge()


def test_studies_are_planned_retried_and_extended(client: Client, networks: Path) -> None:
    scenario = client.store(networks / "cross.zip")["id"]
    plan = client.study(scenario, seeds="1:2", axes=[GREEN], dry_run=True)
    assert plan.id == ""
    assert repr(plan) == f"<Study of a dry run {plan.name!r} not started>"
    assert plan.document["runs"]["planned"] == 4
    study = client.study(scenario, seeds=[1], run={"end": 60}).wait()
    study.extend({"replications": {"seeds": [2]}})
    assert study.wait().document["runs"]["succeeded"] == 2
    with pytest.raises(TypeError, match="seeds or replications"):
        client.study(scenario)
    with pytest.raises(TypeError, match="scenario or variants"):
        client.study(seeds=[1])


def test_studies_by_coroutines(key: str, networks: Path) -> None:
    async def use() -> None:
        async with AsyncClient(os.environ["SUMO_K8_URL"], key) as client:
            study = await client.study(networks / "cross.zip", seeds=[1], run={"end": 60}, cache="off")
            await study.wait()
            assert len(await study.statistics("mean_speed")) == 1
            assert [j.status async for j in study.jobs()] == ["SUCCEEDED"]

    asyncio.run(use())
