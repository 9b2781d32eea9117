from __future__ import annotations

import asyncio
import os
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from sumo_k8 import (
    ApiError,
    AsyncClient,
    AuthenticationError,
    Client,
    Job,
    JobFailedError,
    NotFoundError,
    ScenarioError,
    SumoK8Error,
    WaitTimeoutError,
    types,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_is_submitted_waited_for_and_read(client: Client, cross: Path, tmp_path: Path) -> None:
    job = client.submit(cross, seed=7, outputs=["fcd"], labels={"team": "north"}).wait()
    assert (job.status, job.name, job.done) == ("SUCCEEDED", "cross", True)
    assert job.document["seed"] == 7
    assert job.document["labels"] == {"team": "north"}

    summary = job.summary
    assert summary["vehicles_inserted"] > 0
    assert summary.units["mean_speed"] == "m/s"
    assert not summary.partial
    assert "mean_speed" in repr(summary)
    with pytest.raises(KeyError):
        summary["no such metric"]

    names = {f["name"] for f in job.results.files()}
    fcd = next(n for n in names if "fcd" in n)
    saved = job.results.download(tmp_path / "out")
    assert {p.relative_to(tmp_path / "out").as_posix() for p in saved} == names
    assert [p.name for p in job.results.download(tmp_path / "some", "*fcd*")] == [fcd.rpartition("/")[2]]
    assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(SumoK8Error, match=r"no file other\.xml\. There are: "):
        job.results.download(tmp_path, "other.xml")
    with zipfile.ZipFile(job.results.zip(tmp_path / "all.zip")) as archive:
        assert set(archive.namelist()) == names

    assert job.id in [j.id for j in client.jobs(labels={"team": "north"})]
    assert client.job(job.id).document["job_id"] == job.id
    picture = job.plot(job.plots()[0])
    assert "<svg" in str(picture._repr_svg_())
    assert job.plot(job.plots()[0], format="png").data.startswith(b"\x89PNG")
    assert job.id in job._repr_html_()


def test_logs_are_whole_whether_followed_or_read(client: Client, networks: Path) -> None:
    """Streams of this service end after 300 ms, so that following one means to resume it."""
    job = client.submit(networks / "corridor.zip", name="logs", outputs=["edgedata"])
    followed = list(job.logs(follow=True))
    assert job.status == "SUCCEEDED"
    assert followed
    assert list(job.logs()) == followed


def test_a_failed_job_says_why(client: Client, cross: Path) -> None:
    job = client.submit(cross, timeout_seconds=1, end=1e9, name="too long", scale=50)
    with pytest.raises(JobFailedError, match=job.id) as failure:
        job.wait()
    assert failure.value.reason == "DeadlineExceeded"
    assert job.wait(check=False).status == "FAILED"


def test_waiting_ends_in_time_and_the_job_goes_on(client: Client, endless: Path) -> None:
    job = client.submit(endless)
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError, match="goes on"):
        job.wait(timeout=0.5)
    assert time.monotonic() - began < 5
    assert job.cancel().wait(check=False).status == "CANCELLED"
    job.purge()
    with pytest.raises(NotFoundError):
        job.refresh()


def test_refusals_read_as_the_service_wrote_them(client: Client, cross: Path) -> None:
    for file in cross.glob("*.net.xml"):
        file.unlink()
    with pytest.raises(ApiError) as refusal:
        client.submit(cross)
    assert refusal.value.status_code == 422
    assert refusal.value.code == "scenario_invalid"
    assert refusal.value.items
    assert f"POST {client.url}/jobs answered 422: " in str(refusal.value)
    assert refusal.value.items[0]["message"] in str(refusal.value)
    assert client.validate(cross)["valid"] is False


def test_misspelt_options_are_found(client: Client, cross: Path) -> None:
    with pytest.raises(TypeError, match="sede"):
        client.submit(cross, sede=7)  # type: ignore[call-arg]
    with pytest.raises(ScenarioError, match="no file or folder"):
        client.submit(cross / "elsewhere")


def test_an_empty_path_is_not_the_current_folder(client: Client, cross: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cross)
    for send in (client.submit, client.store, client.validate, lambda path: client.study(path, seeds="1")):
        with pytest.raises(ScenarioError, match="path of the scenario is empty"):
            send("")


def test_a_wrong_key_is_refused(client: Client, cross: Path) -> None:
    with Client(client.url, "sk-wrong") as stranger, pytest.raises(AuthenticationError):
        stranger.submit(cross)


def test_one_key_makes_one_job(client: Client, cross: Path) -> None:
    first = client.submit(cross, idempotency_key="once-and-only-once")
    assert client.submit(cross, idempotency_key="once-and-only-once").id == first.id


def test_stored_scenarios_run_by_their_id(client: Client, cross: Path) -> None:
    stored = client.store(cross, name="kept")
    assert client.store(cross)["id"] == stored["id"], "the same folder makes the same zip"
    jobs = [client.submit(stored["id"], seed=seed).wait() for seed in (1, 2)]
    assert [j.document["scenario"] for j in jobs] == [stored["id"]] * 2
    assert [j["scenario_id"] for j in client.compare(*jobs)["jobs"]] == [stored["id"][:12]] * 2


def test_many_runs_in_order_with_the_errors_of_some(client: Client, cross: Path) -> None:
    runs = [{"scenario": cross, "seed": seed} for seed in range(5)]
    runs.insert(2, {"scenario": cross, "sumo_version": "0.1"})
    results = client.submit_map(runs, return_exceptions=True)
    assert isinstance(results[2], ApiError)
    jobs = [r for r in results if isinstance(r, Job)]
    assert [j.document["seed"] for j in jobs] == [0, 1, 2, 3, 4]
    assert {j.status for j in jobs} == {"SUCCEEDED"}
    assert len({j.document["scenario"] for j in jobs}) == 1
    with pytest.raises(ApiError, match=r"0\.1"):
        client.submit_map(runs[2:3])
    with pytest.raises(TypeError, match="no scenario"):
        client.submit_map([{"seed": 1}])
    for one in (str(cross), cross, {"scenario": cross}):
        with pytest.raises(TypeError, match="list of scenarios"):
            client.submit_map(one)  # type: ignore[arg-type]


def test_coroutines_do_the_same(key: str, cross: Path, tmp_path: Path) -> None:
    async def use() -> None:
        async with AsyncClient(os.environ["SUMO_K8_URL"], key) as client:
            job = await client.submit(cross, seed=3)
            lines = [line async for line in job.logs(follow=True)]
            assert lines
            await job.wait()
            assert [line async for line in job.logs()] == lines
            assert (await job.summary)["vehicles_inserted"] > 0
            assert await job.results.download(tmp_path / "out")
            jobs = await client.submit_map([cross, cross])
            assert [j.status for j in jobs] == ["SUCCEEDED"] * 2
            assert job.id in [j.id async for j in client.jobs()]

    asyncio.run(use())


def test_every_operation_of_the_api_is_typed(client: Client) -> None:
    versions: types.VersionsAnswerBody = client.api.list_versions()
    assert versions["versions"]
    assert client.api.get_dashboard()["plan_limits"]["max_concurrent_jobs"] == 4
    with pytest.raises(NotFoundError):
        client.api.get_job("00000000-0000-0000-0000-000000000000")
    with pytest.raises(SumoK8Error, match="id is empty"):
        client.job("")
