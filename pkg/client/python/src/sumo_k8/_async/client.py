from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from operator import index
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import httpx

from sumo_k8 import _reproduce, _settings, types
from sumo_k8._concurrent import asynchronously
from sumo_k8._fields import STORED, form_fields, name_of
from sumo_k8._source import Scenario, opened
from sumo_k8._version import __version__
from sumo_k8._wire import PATIENCE, Form, Request, new_key

from .jobs import AsyncJob
from .operations import AsyncOperations
from .studies import AsyncStudy
from .transport import AsyncTransport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sumo_k8._reproduce import ManifestComparison


class AsyncClient:
    """Calls one service. Close it, or use it in a with statement, when many are made.

    Calls that are safe to repeat are repeated while the service is unreachable or asks to be called later. A submission is one of them:
    it carries an Idempotency-Key, so that it makes one job however often it is sent.

    Args:
        url: the service's address, such as https://sumo.example.com
        api_key: a tenant's key
        admin_key: the operator's key; only the operations of operators need it
        patience: seconds for which a call is repeated while the service is unreachable
        transport: sends the requests in place of the network, for tests
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        admin_key: str | None = None,
        patience: float = PATIENCE,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._transport = AsyncTransport(
            url, api_key, admin_key, patience=patience, user_agent=f"sumo-k8-python/{__version__}", transport=transport
        )
        self.api = AsyncOperations(self._transport)
        """Every operation of the HTTP API, typed by its OpenAPI document."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> AsyncClient:
        """A client of the service at SUMO_K8_URL with SUMO_K8_API_KEY and SUMO_K8_ADMIN_KEY, or of the one that `sumo-k8 login` has
        saved.
        """
        s = _settings.from_env(env)
        return cls(s.url, s.api_key, admin_key=s.admin_key)

    @property
    def url(self) -> str:
        """The service's address."""
        return self._transport.base

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.close()

    async def submit(
        self,
        scenario: Scenario,
        *,
        name: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[types.SubmissionOptions],
    ) -> AsyncJob:
        """Submit one run of a scenario.

        Args:
            scenario: a folder or zip on this machine, s3://bucket/key of a zip, or the id of a stored scenario
            name: of the run, for people; as the folder or zip is called unless given
            idempotency_key: makes two submissions with the same key one job
            options: how it runs, such as seed=7 and outputs=["fcd"]: the fields of types.SubmissionOptions

        Raises:
            ApiError: the service refuses the scenario or the options; its items are the faults
        """
        fields: dict[str, Any] = {"scenario_id": name or name_of(scenario), **dict(form_fields(options))}
        text = str(scenario)
        key = idempotency_key or new_key()
        if text.startswith("s3://"):
            fields["sumo_files_s3_url"] = text
        elif STORED.match(text) and not Path(text).exists():
            fields["scenario"] = text
        else:
            with opened(scenario) as (file_name, file):
                form = Form(fields, file_name, file)
                answer = await self._transport.json(Request("POST", "/jobs", form=form, key=key))
            return AsyncJob(self, cast("types.Job", answer))
        return AsyncJob(self, cast("types.Job", await self._transport.json(Request("POST", "/jobs", form=Form(fields), key=key))))

    @overload
    async def submit_map(
        self,
        runs: Iterable[Mapping[str, Any] | Scenario],
        *,
        return_exceptions: Literal[False] = False,
        wait: bool = True,
        at_a_time: int = 8,
    ) -> list[AsyncJob]: ...

    @overload
    async def submit_map(
        self,
        runs: Iterable[Mapping[str, Any] | Scenario],
        *,
        return_exceptions: Literal[True],
        wait: bool = True,
        at_a_time: int = 8,
    ) -> list[AsyncJob | Exception]: ...

    async def submit_map(
        self,
        runs: Iterable[Mapping[str, Any] | Scenario],
        *,
        return_exceptions: bool = False,
        wait: bool = True,
        at_a_time: int = 8,
    ) -> list[AsyncJob] | list[AsyncJob | Exception]:
        """Submit many runs and wait for them. A folder or zip that several of them have is uploaded once.

        Args:
            runs: scenarios, or the arguments of submit as dicts: {"scenario": "city/", "seed": 7}
            return_exceptions: put the error of a run that was refused or failed in the place of its job; otherwise the first one is raised,
                after all runs have ended
            wait: for the end of all runs; otherwise return when all are accepted
            at_a_time: how many calls are made at the same time

        Returns:
            the jobs in the order of runs
        """
        if isinstance(runs, (str, os.PathLike, Mapping)):  # a text would be taken apart into paths of one letter, "/" among them
            raise TypeError(f"runs is a list of scenarios or dicts: write [{runs!r}] for one")
        each = [dict(r) if isinstance(r, Mapping) else {"scenario": r} for r in runs]
        for arguments in each:
            if "scenario" not in arguments:
                raise TypeError(f"a run has no scenario: {arguments}")
            arguments.setdefault("name", name_of(arguments["scenario"]))
        paths = [str(a["scenario"]) for a in each]
        for path in {p for p in paths if paths.count(p) > 1 and Path(p).exists()}:
            stored = (await self.store(path))["id"]
            for arguments in each:
                if str(arguments["scenario"]) == path:
                    arguments["scenario"] = stored

        async def run(arguments: dict[str, Any]) -> AsyncJob:
            return await self.submit(**arguments)

        results: list[AsyncJob | Exception] = await asynchronously(run, each, at_a_time)
        if wait:

            async def end(job: AsyncJob | Exception) -> AsyncJob:
                if isinstance(job, Exception):
                    raise job
                return await job.wait(progress=False)

            results = await asynchronously(end, results, at_a_time)
        if return_exceptions:
            return results
        jobs = []
        for result in results:
            if isinstance(result, Exception):
                raise result
            jobs.append(result)
        return jobs

    async def job(self, id: str) -> AsyncJob:
        """A job by its id."""
        return AsyncJob(self, await self.api.get_job(id))

    async def jobs(
        self,
        *,
        status: Literal["QUEUED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"] | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncJob]:
        """The tenant's jobs, newest first."""
        async for job in self._jobs(status=status, scenario_id=name, label=[f"{k}={v}" for k, v in (labels or {}).items()] or None):
            yield job

    async def _jobs(self, **filters: Any) -> AsyncIterator[AsyncJob]:
        cursor = ""
        while True:
            page = await self.api.list_jobs(**filters, limit=200, cursor=cursor or None)
            for job in page["jobs"]:
                yield AsyncJob(self, job)
            cursor = page["next_cursor"]
            if not cursor:
                return

    async def store(self, scenario: str | os.PathLike[str], *, name: str | None = None, for_program: bool = False) -> types.StoredScenario:
        """Upload a folder or zip, to run it often: its "id" stands for it in submit and study.

        Args:
            scenario: a folder or zip on this machine
            name: for people
            for_program: a controller or a tool runs it, so that what keeps SUMO from running it alone is a warning
        """
        with opened(scenario) as (file_name, file):
            request = Request(
                "POST",
                "/scenarios",
                query={"for": "program" if for_program else None, "name": name},
                form=Form({}, file_name, file),
                key=new_key(),
            )
            return cast("types.StoredScenario", await self._transport.json(request))

    async def validate(self, scenario: str | os.PathLike[str], *, config_file: str | None = None) -> types.Validation:
        """Check a folder or zip without storing it."""
        with opened(scenario) as (file_name, file):
            request = Request("POST", "/scenarios/validate", query={"config_file": config_file}, form=Form({}, file_name, file), safe=True)
            return cast("types.Validation", await self._transport.json(request))

    async def study(
        self,
        scenario: Scenario | None = None,
        *,
        name: str | None = None,
        seeds: str | Iterable[int] | None = None,
        variants: Mapping[str, Scenario] | list[types.Variant] | None = None,
        axes: list[types.Axis] | None = None,
        combine: Literal["product", "zip"] | None = None,
        replications: types.Replications | None = None,
        run: types.StudyRun | None = None,
        baseline: types.Baseline | None = None,
        metrics: list[str] | None = None,
        max_parallel: int | None = None,
        on_failure: types.OnFailure | None = None,
        dry_run: bool | None = None,
        cache: Literal["use", "refresh", "off"] | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncStudy:
        """Make a study: one question that is asked of many runs.

        Args:
            scenario: of a study with one variant, which is called base: a folder, a zip or the id of a stored scenario
            name: for people; as the folder or zip is called unless given
            seeds: of each point: a range such as "1:10" or range(1, 11), or a list
            variants: scenarios by the names of their variants, or the API's own form
            axes: swept settings: [{"name": "demand", "set": "scale", "values": [0.8, 1.0, 1.2]}]
            combine: every value of one axis with every value of the others (product), or the first ones together and so on (zip)
            replications: instead of seeds, for as many runs as an aim takes
            run: how each run is made, such as {"end": 3600}
            baseline: what points are compared with, such as {"variant": "base"}
            metrics: that the study is about; all of them unless given
            max_parallel: the most runs at work at a time
            on_failure: when to stop
            dry_run: only say what the study would be
            cache: whether runs may take the results of earlier ones that are the same (use), or not (refresh and off)
            idempotency_key: makes two calls with the same key one study
        """
        if (scenario is None) == (variants is None):
            raise TypeError("study() takes either a scenario or variants")
        if (seeds is None) == (replications is None):
            raise TypeError("study() takes either seeds or replications")
        if isinstance(variants, list):
            forms = variants
        else:
            if variants is None:
                variants = {"base": cast("Scenario", scenario)}
            steered = bool(run and run.get("controller"))
            forms = [{"name": variant, "scenario": await self._stored(source, steered)} for variant, source in variants.items()]
        body: dict[str, Any] = {
            "name": name or (name_of(scenario) if scenario is not None else "study"),
            "variants": forms,
            "replications": replications,
        }
        if seeds is not None:
            body["replications"] = {"seeds": seeds if isinstance(seeds, str) else [index(seed) for seed in seeds]}
        options = {
            "axes": axes,
            "combine": combine,
            "run": run,
            "baseline": baseline,
            "metrics": metrics,
            "max_parallel": max_parallel,
            "on_failure": on_failure,
            "dry_run": dry_run,
            "cache": cache,
        }
        body.update({field: value for field, value in options.items() if value is not None})
        made = await self.api.create_study(cast("types.CreateStudyBody", body), idempotency_key=idempotency_key)
        return AsyncStudy(self, made)

    async def _stored(self, scenario: Scenario, for_program: bool) -> str:
        text = str(scenario)
        if STORED.match(text) and not Path(text).exists():
            return text
        return (await self.store(scenario, for_program=for_program))["id"]

    async def get_study(self, id: str) -> AsyncStudy:
        """A study by its id."""
        return AsyncStudy(self, await self.api.get_study(id))

    async def reproduce(self, manifest: types.Manifest | str | os.PathLike[str]) -> tuple[AsyncJob, ManifestComparison]:
        """Run again what a manifest describes, wait for the end, and compare the results by their checksums.

        Args:
            manifest: job.manifest, or the path of what `sumo-k8 manifest` has printed. Its scenario must be stored with the tenant, and its
                version of SUMO be on offer

        Returns:
            the repetition, and how its results compare. A run of a study is repeated as a study of one run
        """
        manifest = _reproduce.read(manifest)
        if manifest.get("study_id"):
            study = AsyncStudy(self, await self.api.create_study(_reproduce.study_of_one(manifest)))
            await study.wait(progress=False, check=False)
            (job,) = [run async for run in study.jobs()]
        else:
            options = _reproduce.submission(manifest)
            job = await self.submit(manifest["scenario"]["id"], name=manifest["scenario_id"], **options)
        await job.wait(progress=False, check=False)
        return job, _reproduce.compared(manifest, await job.manifest)

    async def compare(self, *jobs: AsyncJob | str) -> types.Comparison:
        """Two or more finished jobs side by side. Differences are to the first."""
        return await self.api.compare_jobs([j if isinstance(j, str) else j.id for j in jobs])
