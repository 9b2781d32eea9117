from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from sumo_k8 import _frames, _show, types
from sumo_k8._wire import TERMINAL, Request, path_of
from sumo_k8.errors import StudyFailedError, WaitTimeoutError

from .jobs import AsyncJob

if TYPE_CHECKING:
    import os

    import pandas as pd

    from .client import AsyncClient


class AsyncStudy:
    """One question that is asked of many runs. What is known of it is in document, as of the last call."""

    def __init__(self, client: AsyncClient, document: types.Study) -> None:
        self._client = client
        self.document = document
        """The study as the service last described it."""

    @property
    def id(self) -> str:
        return self.document.get("study_id", "")

    @property
    def name(self) -> str:
        return self.document.get("name", "")

    @property
    def status(self) -> str:
        """As of the last call."""
        return self.document.get("status", "")

    @property
    def done(self) -> bool:
        """Whether it has ended, as of the last call."""
        return self.status in TERMINAL

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id or 'of a dry run'} {self.name!r} {self.status or 'not started'}>"

    def _repr_html_(self) -> str:
        return _show.study_card(self.document)

    async def refresh(self) -> AsyncStudy:
        """Ask the service how it stands."""
        self.document = await self._client.api.get_study(self.id)
        return self

    async def wait(self, timeout: float | None = None, *, progress: bool | None = None, check: bool = True) -> AsyncStudy:
        """Wait until it has ended.

        Args:
            timeout: seconds, which may become 15 more; without end unless given
            progress: show a bar; on terminals and in notebooks unless given
            check: raise StudyFailedError if it has not succeeded

        Raises:
            WaitTimeoutError: it has not ended in time, and goes on
        """
        until = None if timeout is None else time.monotonic() + timeout
        bar = _show.Bar(self.name, progress)
        try:
            async for event in self._client._transport.events(path_of("/studies/{id}/events", self.id), until):
                change = event.json()
                runs = change.get("runs")
                if runs is not None:
                    bar.at(runs["done"] / max(runs["planned"], 1), change["status"], f"{runs['done']} of {runs['planned']} runs")
        finally:
            bar.close()
        await self.refresh()
        if not self.done:
            raise WaitTimeoutError(f"Study {self.id} is {self.status} after {timeout or 0:g} s; it goes on.")
        if check and self.status != "SUCCEEDED":
            raise StudyFailedError(self.document)
        return self

    async def cancel(self) -> AsyncStudy:
        """Stop it. What has ended is kept; repeating it is no error."""
        await self._client.api.cancel_study(self.id)
        return await self.refresh()

    async def purge(self) -> None:
        """Delete it with its runs and their results, once it has ended."""
        await self._client.api.cancel_study(self.id, purge=True)

    async def retry(self) -> AsyncStudy:
        """Order its failed and cancelled runs again."""
        await self._client.api.retry_study(self.id)
        return await self.refresh()

    async def extend(self, extension: types.Extension) -> AsyncStudy:
        """Add seeds, values or variants."""
        self.document = await self._client.api.extend_study(self.id, extension)
        return self

    async def jobs(self, *, point: int | None = None) -> AsyncIterator[AsyncJob]:
        """Its runs, newest first."""
        async for job in self._client._jobs(study=self.id, point=point):
            yield job

    async def statistics(self, *metrics: str, confidence: float | None = None) -> pd.DataFrame:
        """The mean of each metric at each point, with its confidence interval: one row for each point and metric. attrs has units,
        confidence and notes. Needs pandas.

        Args:
            metrics: those of the study unless given
            confidence: of the intervals, such as 0.95
        """
        return _frames.statistics(await self._client.api.get_study_statistics(self.id, metric=list(metrics) or None, confidence=confidence))

    async def comparison(
        self, *metrics: str, baseline: str | types.Baseline | None = None, confidence: float | None = None
    ) -> pd.DataFrame:
        """Each point compared with the baseline: one row for each point and metric, with the verdict in a sentence. attrs has units,
        confidence, the adjustment of p and notes. Needs pandas.

        Args:
            metrics: those of the study unless given
            baseline: the name of a variant, or values of axes; the study's own unless given
            confidence: of the intervals, such as 0.95
        """
        return _frames.comparison(
            await self._client.api.get_study_comparison(
                self.id, metric=list(metrics) or None, baseline=_text(baseline), confidence=confidence
            )
        )

    async def table(self, *metrics: str) -> pd.DataFrame:
        """One row for each run and metric; the settings of the run's point are columns. attrs has units. Needs pandas.

        Args:
            metrics: all that any run has unless given
        """
        raw = await self._client.api.get_study_table(self.id, metric=list(metrics) or None, format="json")
        return _frames.tidy(cast("types.StudyTable", json.loads(raw)))

    async def outputs(self, name: str) -> pd.DataFrame:
        """An output of all runs that have succeeded as one table, as job.table has it of one run, with the columns point, variant,
        replication and seed. Needs pandas and pyarrow.

        Args:
            name: of the output, such as tripinfo
        """
        return _frames.of_all_runs(await self._client.api.get_study_tables(self.id, cast("Any", name)))

    async def plots(self) -> list[str]:
        """The names of the plots that the service can draw of it."""
        return [plot["name"] for plot in (await self._client.api.list_study_plots(self.id))["plots"]]

    async def plot(
        self,
        name: str | None = None,
        *,
        metric: str | None = None,
        axis: str | None = None,
        baseline: str | types.Baseline | None = None,
        confidence: float | None = None,
        format: Literal["svg", "png"] = "svg",
        theme: Literal["light", "dark"] | None = None,
        width: int = _show.WIDTH,
    ) -> _show.Picture:
        """A plot of it, which notebooks show.

        Args:
            name: of the plot; the first one of plots() unless given
            metric: that is drawn
            axis: along which the metric is drawn
            baseline: as in comparison
            confidence: of the intervals, such as 0.95
            format: svg, or png
            theme: light unless given
            width: in pixels
        """
        if name is None:
            name = (await self.plots())[0]
        data = await self._client.api.get_study_plot(
            self.id,
            f"{name}.{format}",
            metric=metric,
            axis=axis,
            baseline=_text(baseline),
            confidence=confidence,
            theme=theme,
            width=width,
        )
        return _show.Picture(data, format)

    async def report(self, path: str | os.PathLike[str]) -> Path:
        """Download its report: one HTML file that needs nothing else."""
        target = Path(path)
        await self._client._transport.save(Request("GET", path_of("/studies/{id}/report.html", self.id)), target)
        return target


def _text(baseline: str | types.Baseline | None) -> str | None:
    return baseline if baseline is None or isinstance(baseline, str) else json.dumps(baseline)
