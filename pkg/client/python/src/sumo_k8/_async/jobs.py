from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from sumo_k8 import _frames, _show, types
from sumo_k8._results import chosen, inside
from sumo_k8._wire import TERMINAL, Request, path_of
from sumo_k8.errors import JobFailedError, WaitTimeoutError

if TYPE_CHECKING:
    import os

    import pandas as pd

    from .client import AsyncClient

LOOK = 1.0
"""Seconds between two looks at a job whose progress is shown."""
HOLD = 30
"""Seconds for which the service holds a call until the job's status changes."""


class AsyncJob:
    """One run of a scenario. What is known of it is in document, as of the last call."""

    def __init__(self, client: AsyncClient, document: types.Job) -> None:
        self._client = client
        self.document = document
        """The job as the service last described it."""

    @property
    def id(self) -> str:
        return self.document["job_id"]

    @property
    def name(self) -> str:
        return self.document["scenario_id"]

    @property
    def status(self) -> str:
        """QUEUED, PENDING, RUNNING, SUCCEEDED, FAILED or CANCELLED, as of the last call."""
        return self.document["status"]

    @property
    def done(self) -> bool:
        """Whether it has ended, as of the last call."""
        return self.status in TERMINAL

    @property
    def warnings(self) -> list[str]:
        """What the service says about the scenario and the run."""
        return self.document.get("warnings") or []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.name!r} {self.status}>"

    def _repr_html_(self) -> str:
        return _show.job_card(self.document)

    async def refresh(self) -> AsyncJob:
        """Ask the service how it stands."""
        self.document = await self._client.api.get_job(self.id)
        return self

    async def wait(self, timeout: float | None = None, *, progress: bool | None = None, check: bool = True) -> AsyncJob:
        """Wait until it has ended.

        Args:
            timeout: seconds; without end unless given
            progress: show a bar; on terminals and in notebooks unless given
            check: raise JobFailedError if it has not succeeded

        Raises:
            WaitTimeoutError: it has not ended in time, and goes on
        """
        until = None if timeout is None else time.monotonic() + timeout
        bar = _show.Bar(self.name, progress)
        try:
            while not self.done:
                left = HOLD if until is None else until - time.monotonic()
                if left <= 0:
                    raise WaitTimeoutError(f"Job {self.id} is {self.status} after {timeout:g} s; it goes on.")
                bar.at(self.document["progress"], self.status)
                # A call that is held ends when the status changes, not with each per cent.
                hold = min(LOOK if bar.shown else HOLD, left)
                self.document = await self._client.api.get_job(self.id, wait=f"{hold:.3f}s")
            bar.at(self.document["progress"], self.status)
        finally:
            bar.close()
        if check and self.status != "SUCCEEDED":
            raise JobFailedError(self.document)
        return self

    async def logs(self, *, follow: bool = False) -> AsyncIterator[str]:
        """The lines of its log: those that there are, or with follow also those to come until it has ended."""
        if follow:
            async for event in self._client._transport.events(path_of("/jobs/{id}/logs/stream", self.id)):
                # Lines have an id, by which the stream is resumed; explanations have none.
                if event.name == "message" and event.id:
                    yield str(event.json().get("message", ""))
            await self.refresh()
            return
        rest, offset = "", 0
        while True:
            part = await self._client.api.get_logs(self.id, offset=offset)
            *lines, rest = (rest + part["logs"]).split("\n")
            for line in lines:
                yield line
            offset = part["next_offset"]
            if offset >= part["size"] or not part["logs"]:
                break
        if rest:
            yield rest

    async def cancel(self) -> AsyncJob:
        """Stop it. What it has written until then is kept; repeating it is no error."""
        self.document = await self._client.api.cancel_job(self.id)
        return self

    async def purge(self) -> None:
        """Delete it with its results, once it has ended."""
        await self._client.api.cancel_job(self.id, purge=True)

    async def retry(self) -> AsyncJob:
        """Submit it again, as a new job."""
        return AsyncJob(self._client, await self._client.api.retry_job(self.id))

    @property
    async def summary(self) -> _show.Summary:
        """Its figures, once it has ended: summary["mean_speed"]."""
        return _show.Summary(await self._client.api.get_summary(self.id))

    @property
    async def manifest(self) -> types.Manifest:
        """What it was made from, and the checksums of its results, once it has ended: client.reproduce runs it again."""
        return await self._client.api.get_manifest(self.id)

    @property
    def results(self) -> AsyncResults:
        """Its files."""
        return AsyncResults(self._client, self.id)

    async def tables(self) -> list[str]:
        """The names of its tables, such as tripinfo."""
        return [table["name"] for table in (await self._client.api.list_tables(self.id))["tables"]]

    async def table(
        self,
        name: str,
        columns: Iterable[str] | None = None,
        *,
        begin: float | None = None,
        end: float | None = None,
    ) -> pd.DataFrame:
        """An output of it as a table, with the units of its columns in attrs["units"], and what they mean in attrs["descriptions"]. Needs
        pandas and pyarrow.

        Args:
            name: of the output; tables() lists them
            columns: those wanted, in their order, or the name of one; all of them unless given
            begin: only rows from this simulated time on, in seconds
            end: only rows before this simulated time
        """
        raw = await self._client.api.get_table(
            self.id,
            cast("Any", name),
            format="parquet",
            columns=[columns] if isinstance(columns, str) else None if columns is None else list(columns),
            from_=begin,
            to=end,
        )
        return _frames.table(raw)

    async def plots(self) -> list[str]:
        """The names of the plots that the service can draw of it."""
        return [plot["name"] for plot in (await self._client.api.list_plots(self.id))["plots"]]

    async def plot(
        self,
        name: str,
        *,
        compare: Iterable[AsyncJob | str] = (),
        format: Literal["svg", "png"] = "svg",
        theme: Literal["light", "dark"] | None = None,
        width: int = _show.WIDTH,
        height: int | None = None,
    ) -> _show.Picture:
        """A plot of it, which notebooks show. The jobs of compare are overlaid.

        Args:
            name: of the plot; plots() lists them
            compare: other jobs, or their ids
            format: svg, or png
            theme: light unless given
            width: in pixels
            height: in pixels; seven twelfths of width unless given
        """
        others = [j if isinstance(j, str) else j.id for j in compare]
        data = await self._client.api.get_plot(self.id, f"{name}.{format}", with_=others or None, theme=theme, width=width, height=height)
        return _show.Picture(data, format)


class AsyncResults:
    """The files of a job."""

    def __init__(self, client: AsyncClient, job: str) -> None:
        self._client = client
        self._job = job

    async def files(self) -> list[types.ResultLink]:
        """What files there are, with their sizes and links."""
        return (await self._client.api.get_results(self._job))["files"]

    async def download(self, folder: str | os.PathLike[str] = ".", *names: str) -> list[Path]:
        """Download files into a folder, below their own names, and check their checksums.

        Args:
            folder: is made if it does not exist
            names: of files, with the wildcards * and ?; all of them unless given

        Returns:
            the paths of the files
        """
        root = Path(folder)
        paths = []
        for file in chosen(await self.files(), names):
            target = inside(root, file["name"])
            target.parent.mkdir(parents=True, exist_ok=True)
            await self._client._transport.download(
                path_of("/jobs/{id}/results/{name}", self._job, file["name"]), target, file["size"], file.get("sha256")
            )
            paths.append(target)
        return paths

    async def zip(self, path: str | os.PathLike[str]) -> Path:
        """Download all files in one zip."""
        target = Path(path)
        await self._client._transport.save(Request("GET", path_of("/jobs/{id}/results.zip", self._job)), target)
        return target
