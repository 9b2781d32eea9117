# Generated from the asynchronous client by `make generate`; do not edit.
"""One method for each operation of the HTTP API that takes and answers whole documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, cast

from sumo_k8 import types
from sumo_k8._wire import Request, new_key, path_of

if TYPE_CHECKING:
    from .transport import Transport


class Operations:
    """The operations of the HTTP API, by their ids in the OpenAPI document. Answers are the service's JSON as it came, or bytes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def begin_upload(
        self,
        body: types.BeginRequestBody,
        *,
        idempotency_key: str | None = None,
    ) -> types.DirectUpload:
        """Start the direct upload of a large scenario. Returns a link to the object store; PUT the zip there without a
        key. The link accepts exactly the announced size. Then complete the upload. An upload that is not completed
        within a day is abandoned.
        """
        request = Request(
            "POST",
            path_of("/scenarios/uploads"),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            key=idempotency_key or new_key(),
        )
        return cast("types.DirectUpload", self._transport.json(request))

    def cancel_job(self, id: str, *, purge: bool | None = None) -> types.Job:
        """Cancel or purge a job. A running simulation is stopped gracefully and keeps what it has written. The call may
        be repeated. With purge=true, a finished job is deleted together with its results; a run of a study is purged
        with its study.
        """
        request = Request("DELETE", path_of("/jobs/{id}", id), query={"purge": purge})
        return cast("types.Job", self._transport.json(request))

    def cancel_study(self, id: str, *, purge: bool | None = None) -> types.StudySummary:
        """Cancel or purge a study. No further run starts, and those at work are stopped; what has ended stays. The call
        may be repeated. With purge=true, a finished study is deleted together with all its runs and their results; a
        call that breaks off may be repeated, too.
        """
        request = Request(
            "DELETE",
            path_of("/studies/{id}", id),
            query={"purge": purge},
        )
        return cast("types.StudySummary", self._transport.json(request))

    def cancel_warmup(self, id: str) -> types.CancelWarmupAnswerBody:
        """End a warm-up early."""
        request = Request("DELETE", path_of("/admin/warmup/{id}", id), admin=True)
        return cast("types.CancelWarmupAnswerBody", self._transport.json(request))

    def compare_counts(self, id: str, body: str) -> types.Counts:
        """Compare traffic counts with a job. Send CSV. Its first line names the columns: detector or edge; begin and
        end in seconds (or as 07:30:00), or hour; and count, the vehicles counted in the interval, or flow, the same
        in vehicles per hour. Several detectors or edges that count together, such as those of all lanes, are
        separated by blanks. Detectors are induction loops (E1) of the scenario; edges are read from the edgedata
        output, as the vehicles that entered them or departed on them. The answer has the GEH statistic of each
        count, √(2(m−c)²/(m+c)) of the flows m and c in vehicles per hour, the share below 5, and the root mean
        square error. Nothing is stored.
        """
        request = Request(
            "POST",
            path_of("/jobs/{id}/counts", id),
            content=body.encode(),
            content_type="text/csv",
            safe=True,
        )
        return cast("types.Counts", self._transport.json(request))

    def compare_jobs(self, ids: list[str]) -> types.Comparison:
        """Compare jobs metric by metric. Differences are relative to the first job. Unfinished jobs have a message, and
        missing numbers are null; neither is an error. settings lists the settings that differ, which may explain the
        differences.
        """
        request = Request(
            "GET",
            path_of("/jobs/compare"),
            query={"ids": ",".join(ids)},
        )
        return cast("types.Comparison", self._transport.json(request))

    def complete_upload(self, id: str, *, for_: Literal["program"] | None = None) -> types.StoredScenario:
        """Complete a direct upload and store its scenario. Checks the zip that has arrived. A refused zip is removed
        together with its upload. The call may be repeated.
        """
        request = Request(
            "POST",
            path_of("/scenarios/uploads/{id}/complete", id),
            query={"for": for_},
            safe=True,
        )
        return cast("types.StoredScenario", self._transport.json(request))

    def create_study(
        self,
        body: types.CreateStudyBody,
        *,
        idempotency_key: str | None = None,
    ) -> types.Study:
        """Ask one question of many runs. Every variant with every combination of the axes' values is a point, and each
        point runs once with each seed. Each run is a job that carries study_id, point and replication. With
        replications.until, rounds of further seeds follow until every point has reached the aim; most_runs says how
        many runs that may take. With dry_run nothing is stored, and the answer says what the study would be. At most
        1,000 points and 10,000 runs; the limit on submissions counts a study as one. All problems found are reported
        together.
        """
        request = Request(
            "POST",
            path_of("/studies"),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            key=idempotency_key or new_key(),
        )
        return cast("types.Study", self._transport.json(request))

    def create_webhook(
        self,
        body: types.CreateWebhookRequestBody,
        *,
        idempotency_key: str | None = None,
    ) -> types.NewWebhook:
        """Have events of jobs sent to a web server. Events are POSTed at least once and signed as Standard Webhooks
        (https://www.standardwebhooks.com) describe. The answer has the secret, which is shown only here and when it
        is replaced. A tenant has at most 20 webhooks.
        """
        request = Request(
            "POST",
            path_of("/webhooks"),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            key=idempotency_key or new_key(),
        )
        return cast("types.NewWebhook", self._transport.json(request))

    def delete_scenario(self, id: str) -> types.DeleteScenarioAnswerBody:
        """Delete a scenario. Refused while an unfinished job or study needs it. Finished jobs keep their results but
        cannot be retried. Scenarios that were derived from it stay as they are.
        """
        request = Request("DELETE", path_of("/scenarios/{id}", id))
        return cast("types.DeleteScenarioAnswerBody", self._transport.json(request))

    def delete_tenant(self, id: str, *, force: bool | None = None) -> types.DeleteAnswerBody:
        """Delete a tenant and everything it owns. Removes the tenant's keys, namespace, scenarios, jobs and results.
        Refused while it has queued or running jobs, unless force is set.
        """
        request = Request(
            "DELETE",
            path_of("/auth/tenants/{id}", id),
            query={"force": force},
            admin=True,
        )
        return cast("types.DeleteAnswerBody", self._transport.json(request))

    def delete_upload(self, id: str) -> types.DeleteUploadAnswerBody:
        """Abandon a direct upload."""
        request = Request("DELETE", path_of("/scenarios/uploads/{id}", id))
        return cast("types.DeleteUploadAnswerBody", self._transport.json(request))

    def delete_webhook(self, id: str) -> types.DeleteWebhookAnswerBody:
        """Delete a webhook. Its deliveries are deleted with it, those that are waiting included."""
        request = Request("DELETE", path_of("/webhooks/{id}", id))
        return cast("types.DeleteWebhookAnswerBody", self._transport.json(request))

    def draw_counts(
        self,
        id: str,
        file: str,
        body: str,
        *,
        theme: Literal["light", "dark"] | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> bytes:
        """Draw traffic counts against those of a job. Send CSV. Its first line names the columns: detector or edge;
        begin and end in seconds (or as 07:30:00), or hour; and count, the vehicles counted in the interval, or flow,
        the same in vehicles per hour. Several detectors or edges that count together, such as those of all lanes,
        are separated by blanks. Detectors are induction loops (E1) of the scenario; edges are read from the edgedata
        output, as the vehicles that entered them or departed on them. The plot has a mark for each count, the line
        on which both are the same, and the band of a GEH below 5.
        """
        request = Request(
            "POST",
            path_of("/jobs/{id}/counts/{file}", id, file),
            query={"theme": theme, "width": width, "height": height},
            content=body.encode(),
            content_type="text/csv",
            safe=True,
        )
        return self._transport.fetch(request)

    def extend_study(
        self,
        id: str,
        body: types.Extension,
        *,
        idempotency_key: str | None = None,
    ) -> types.Study:
        """Add seeds, values or variants, or another aim. What the study has already stays as it is: seeds that it has
        are not run again, and its points keep their numbers. Another aim (replications.until) takes the place of the
        study's, and what is there counts for its first look. A finished study is RUNNING again, which is a
        submission as POST /studies is.
        """
        request = Request(
            "POST",
            path_of("/studies/{id}/extend", id),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            key=idempotency_key or new_key(),
        )
        return cast("types.Study", self._transport.json(request))

    def get_activity(self) -> types.Activity:
        """Count nodes, pods and jobs."""
        request = Request("GET", path_of("/admin/activity"), admin=True)
        return cast("types.Activity", self._transport.json(request))

    def get_cluster(self) -> types.ClusterAnswerBody:
        """List the nodes that run jobs. Without a cluster, this is the machine that the service runs on."""
        request = Request("GET", path_of("/admin/cluster"), admin=True)
        return cast("types.ClusterAnswerBody", self._transport.json(request))

    def get_dashboard(self) -> types.Dashboard:
        """Show this tenant's limits, usage and latest jobs."""
        request = Request("GET", path_of("/tenants/me/dashboard"))
        return cast("types.Dashboard", self._transport.json(request))

    def get_delivery(self, id: str) -> types.DeliveryWithMessage:
        """Show a delivery with its message."""
        request = Request("GET", path_of("/webhooks/deliveries/{id}", id))
        return cast("types.DeliveryWithMessage", self._transport.json(request))

    def get_distributions(self, id: str) -> types.Distributions:
        """Show the distributions of travel times and delays. From tripinfo.xml, over all vehicles that departed. A run
        with the emission output also has CO₂ and fuel.
        """
        request = Request("GET", path_of("/jobs/{id}/distributions", id))
        return cast("types.Distributions", self._transport.json(request))

    def get_edgedata(self, id: str) -> types.EdgeData:
        """Show speed and density of every edge over time. For a run with the edgedata output. The answer stays at about
        4 MB: for a large network over a long time neighbouring intervals are merged, and merged says how many.
        """
        request = Request("GET", path_of("/jobs/{id}/edgedata", id))
        return cast("types.EdgeData", self._transport.json(request))

    def get_job(self, id: str, *, wait: str | None = None) -> types.Job:
        """Show a job."""
        request = Request("GET", path_of("/jobs/{id}", id), query={"wait": wait})
        return cast("types.Job", self._transport.json(request))

    def get_logs(
        self,
        id: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        tail: int | None = None,
    ) -> types.Snapshot:
        """Show a job's log or part of it. Returns the last MiB in whole lines. With tail: the last lines. With offset
        and limit: those bytes, and next_offset to read on from. Before the run has started, logs says why there is
        none yet.
        """
        request = Request(
            "GET",
            path_of("/jobs/{id}/logs", id),
            query={"offset": offset, "limit": limit, "tail": tail},
        )
        return cast("types.Snapshot", self._transport.json(request))

    def get_manifest(self, id: str) -> types.Manifest:
        """Show what made a run and the checksums of its results. Enough to run it again, here or elsewhere, and
        compare: sumo-k8 reproduce does both. content_sha256 leaves out dates, paths and computing times, so that
        equal runs have equal checksums; files with varies are not compared.
        """
        request = Request("GET", path_of("/jobs/{id}/manifest.json", id))
        return cast("types.Manifest", self._transport.json(request))

    def get_network(self, id: str) -> types.Geometry:
        """Show a job's network as lines and points. From the scenario's network file, with the polygons of its
        additional files, also while the job waits or runs. Coordinates are rounded to 0.1 m.
        """
        request = Request("GET", path_of("/jobs/{id}/network", id))
        return cast("types.Geometry", self._transport.json(request))

    def get_plot(
        self,
        id: str,
        file: str,
        *,
        with_: list[str] | None = None,
        theme: Literal["light", "dark"] | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> bytes:
        """Draw a plot of one or more jobs. If with names other jobs, all are overlaid; distributions then show the
        share of each job's trips up to a value.
        """
        request = Request(
            "GET",
            path_of("/jobs/{id}/plots/{file}", id, file),
            query={"with": ",".join(with_) if with_ else None, "theme": theme, "width": width, "height": height},
        )
        return self._transport.fetch(request)

    def get_queue(self) -> types.Queue:
        """Show queued jobs, waiting times and tenants' limits."""
        request = Request("GET", path_of("/admin/queue"), admin=True)
        return cast("types.Queue", self._transport.json(request))

    def get_replay(self, id: str) -> types.Recording:
        """Show what there is of a job's recording. For a job with replay, also while it runs: the segments so far,
        which hold where vehicles are and the states of signals. While the job runs its log's stream announces new
        ones as event: replay. A job with the fcd output and no recording gets one from that, on the first call.
        """
        request = Request("GET", path_of("/jobs/{id}/replay", id))
        return cast("types.Recording", self._transport.json(request))

    def get_replay_segment(
        self,
        id: str,
        attempt: str,
        n: str,
        *,
        count: int | None = None,
    ) -> bytes:
        """Read segments of a job's recording. A segment never changes under its address. docs/replay-format.md
        describes it. A segment of another attempt than GET /jobs/{id}/replay names may be gone. With count, the
        answer is that many segments, one behind the other: fewer calls read a long recording.
        """
        request = Request(
            "GET",
            path_of("/jobs/{id}/replay/segments/{attempt}/{n}", id, attempt, n),
            query={"count": count},
        )
        return self._transport.fetch(request)

    def get_results(self, id: str) -> types.Results:
        """List a job's result files. Each file has a temporary link that needs no key. A job that failed or was
        cancelled offers what it wrote.
        """
        request = Request("GET", path_of("/jobs/{id}/results", id))
        return cast("types.Results", self._transport.json(request))

    def get_results_zip(self, id: str) -> bytes:
        """Download all result files as one zip. The zip is created while it is sent. If the connection breaks, it is
        incomplete; sha256sums.txt inside has the checksums. If the job did not succeed, the zip's name ends in
        -partial.
        """
        request = Request("GET", path_of("/jobs/{id}/results.zip", id))
        return self._transport.fetch(request)

    def get_scenario(self, id: str) -> types.Scenario:
        """Show a scenario with its files."""
        request = Request("GET", path_of("/scenarios/{id}", id))
        return cast("types.Scenario", self._transport.json(request))

    def get_series(self, id: str) -> types.Series:
        """Show how a run went over time. From summary.xml, with at most 1000 points: in a longer run neighbouring steps
        are merged, and merged says how many; min and max cover all steps. A run with the emission output also has
        its emissions over time.
        """
        request = Request("GET", path_of("/jobs/{id}/series", id))
        return cast("types.Series", self._transport.json(request))

    def get_stats(self, *, minutes: int | None = None) -> types.ServiceStats:
        """Count job events minute by minute. Covers all tenants. Deleted jobs no longer count."""
        request = Request(
            "GET",
            path_of("/admin/stats"),
            query={"minutes": minutes},
            admin=True,
        )
        return cast("types.ServiceStats", self._transport.json(request))

    def get_study(self, id: str) -> types.Study:
        """Show a study with its points. GET /jobs?study={id} lists its runs, and GET /studies/{id}/events follows it.
        """
        request = Request("GET", path_of("/studies/{id}", id))
        return cast("types.Study", self._transport.json(request))

    def get_study_comparison(
        self,
        id: str,
        *,
        metric: list[str] | None = None,
        confidence: float | None = None,
        baseline: str | None = None,
    ) -> types.StudyComparison:
        """Compare each point with the baseline. Paired by seed (Student's t test of the differences), or by Welch's
        test where fewer than two seeds pair. p values are adjusted by Holm's method over all comparisons of the
        study; verdicts follow those. Each interval is for its comparison alone.
        """
        request = Request(
            "GET",
            path_of("/studies/{id}/comparison", id),
            query={"metric": metric, "confidence": confidence, "baseline": baseline},
        )
        return cast("types.StudyComparison", self._transport.json(request))

    def get_study_edgedata(
        self,
        id: str,
        *,
        point: int | None = None,
        against: int | None = None,
        attribute: str | None = None,
        interval: int | None = None,
    ) -> types.StudyEdges:
        """Describe and compare edges over the runs of a point. For a study whose runs have the edgedata output. The
        unit is one run's value of an edge in an interval. With against, differences are paired by seed, or judged by
        Welch's test where fewer than two seeds pair, and p values are adjusted by the method of Benjamini and
        Hochberg over all edges and intervals of the attribute. Runs that succeed later change the answer. Once the
        results were removed because of their age, it is 410.
        """
        request = Request(
            "GET",
            path_of("/studies/{id}/edgedata", id),
            query={"point": point, "against": against, "attribute": attribute, "interval": interval},
        )
        return cast("types.StudyEdges", self._transport.json(request))

    def get_study_plot(
        self,
        id: str,
        file: str,
        *,
        metric: str | None = None,
        axis: str | None = None,
        baseline: str | None = None,
        confidence: float | None = None,
        theme: Literal["light", "dark"] | None = None,
        width: int | None = None,
    ) -> bytes:
        """Draw a plot of a study. means: a metric over an axis, a line for each variant, with confidence intervals;
        points side by side if the study has no axis. boxes: all runs of each point. differences: each point against
        the baseline. convergence: the half width of the interval by the number of runs, with the aim if the study
        has one. A plot is as high as its points take; what is incomplete is hollow, or says so beside it. A PNG of
        more than 12 million pixels is refused; the SVG has no such bound.
        """
        request = Request(
            "GET",
            path_of("/studies/{id}/plots/{file}", id, file),
            query={"metric": metric, "axis": axis, "baseline": baseline, "confidence": confidence, "theme": theme, "width": width},
        )
        return self._transport.fetch(request)

    def get_study_report(self, id: str) -> bytes:
        """Write up a study as one HTML file. The answer in sentences, the question, plots, numbers, versions, seeds,
        and how to run it again. The file loads nothing from elsewhere, has no scripts, and prints on A4. Of a large
        study it shows a part, and says what it leaves out and where that is.
        """
        request = Request("GET", path_of("/studies/{id}/report.html", id))
        return self._transport.fetch(request)

    def get_study_statistics(
        self,
        id: str,
        *,
        metric: list[str] | None = None,
        confidence: float | None = None,
        relative_half_width: float | None = None,
    ) -> types.StudyStatistics:
        """Describe each metric at each point: mean, interval, spread. The unit is one run's value of a metric. The
        interval is mean ± t(n−1, 1−α/2)·s/√n; needed is the least n for which its half width is the aimed
        one, with the spread so far (FHWA, Traffic Analysis Toolbox III, appendix B). Quartiles interpolate linearly.
        Answers at any time: runs that have not ended are open.
        """
        request = Request(
            "GET",
            path_of("/studies/{id}/statistics", id),
            query={"metric": metric, "confidence": confidence, "relative_half_width": relative_half_width},
        )
        return cast("types.StudyStatistics", self._transport.json(request))

    def get_study_table(
        self,
        id: str,
        *,
        metric: list[str] | None = None,
        format: Literal["json", "csv", "parquet"] | None = None,
    ) -> bytes:
        """Download a study as a tidy table. One row for each run that has ended and each metric. Runs that ended
        without a result have rows without values, so that they are missed. CSV and Parquet have one column for each
        axis, named axis.NAME. The table outlives the results of the runs.
        """
        request = Request(
            "GET",
            path_of("/studies/{id}/table", id),
            query={"metric": metric, "format": format},
        )
        return self._transport.fetch(request)

    def get_study_tables(
        self,
        id: str,
        name: Literal["summary", "tripinfo", "personinfo", "edgedata", "fcd", "emission", "queue", "lanechange", "stops", "detectors"],
    ) -> bytes:
        """Download a table of all runs of a study. A zip with a Parquet dataset in folders as Hive names them, so that
        pandas, pyarrow and DuckDB add the columns study, point, variant, replication and seed: one file for each run
        that has succeeded. _left-out.json in it lists the other runs, with reasons. Tables that have not been made
        are made while the zip is sent. If the connection breaks, it is incomplete. Once the results were removed
        because of their age, it is 410.
        """
        request = Request("GET", path_of("/studies/{id}/tables/{name}", id, name))
        return self._transport.fetch(request)

    def get_summary(self, id: str) -> types.Summary:
        """Show a run's key figures with their units."""
        request = Request("GET", path_of("/jobs/{id}/summary", id))
        return cast("types.Summary", self._transport.json(request))

    def get_table(
        self,
        id: str,
        name: Literal["summary", "tripinfo", "personinfo", "edgedata", "fcd", "emission", "queue", "lanechange", "stops", "detectors"],
        *,
        format: Literal["csv", "parquet", "json"] | None = None,
        columns: list[str] | None = None,
        from_: float | None = None,
        to: float | None = None,
    ) -> bytes:
        """Download an output of a job as a table. Columns have SUMO's names, and types and units that the schema lists.
        In Parquet, the file's metadata has the schema as JSON under sumo-k8, and the unit of each column under
        sumo-k8.unit.COLUMN. In JSON, columns describes the columns, and rows has an object for each row. A table
        whose output has more than 2 GiB of XML is made at the end of the run only: ask for it with tables at
        submission.
        """
        request = Request(
            "GET",
            path_of("/jobs/{id}/tables/{name}", id, name),
            query={"format": format, "columns": ",".join(columns) if columns else None, "from": from_, "to": to},
        )
        return self._transport.fetch(request)

    def get_table_schema(
        self,
        id: str,
        name: Literal["summary", "tripinfo", "personinfo", "edgedata", "fcd", "emission", "queue", "lanechange", "stops", "detectors"],
    ) -> types.Schema:
        """Describe the columns of a job's table."""
        request = Request("GET", path_of("/jobs/{id}/tables/{name}/schema", id, name))
        return cast("types.Schema", self._transport.json(request))

    def get_tenant(self, id: str) -> types.Tenant:
        """Show a tenant."""
        request = Request("GET", path_of("/auth/tenants/{id}", id), admin=True)
        return cast("types.Tenant", self._transport.json(request))

    def get_vehicles(
        self,
        id: str,
        *,
        begin: float | None = None,
        end: float | None = None,
        step: float | None = None,
    ) -> types.Vehicles:
        """Show vehicle positions over time, part by part. For a run with the fcd output or a recording. An answer has
        about 20,000 positions; repeat with begin set to next until next is null. begin and end in the answer are
        those of the whole recording.
        """
        request = Request(
            "GET",
            path_of("/jobs/{id}/vehicles", id),
            query={"begin": begin, "end": end, "step": step},
        )
        return cast("types.Vehicles", self._transport.json(request))

    def get_webhook(self, id: str) -> types.Webhook:
        """Show a webhook."""
        request = Request("GET", path_of("/webhooks/{id}", id))
        return cast("types.Webhook", self._transport.json(request))

    def health(self) -> types.HealthReport:
        """Report the state of the service and what it depends on."""
        request = Request("GET", path_of("/health"))
        return cast("types.HealthReport", self._transport.json(request))

    def import_jobs(self, body: types.ImportJobsRequestBody) -> types.ImportJobsAnswerBody:
        """Import finished jobs of the predecessor. They are kept for the record, under the ids that they have; their
        results stay where they are. A job that is here already stays as it is.
        """
        request = Request(
            "POST",
            path_of("/admin/import/jobs"),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            admin=True,
            safe=True,
        )
        return cast("types.ImportJobsAnswerBody", self._transport.json(request))

    def import_tenants(self, body: types.ImportTenantsRequestBody) -> types.ImportTenantsAnswerBody:
        """Import tenants of the predecessor. Their keys go on working; only hashes of them are sent. Limits out of
        bounds are set to the nearest bound. A tenant that is here already stays as it is.
        """
        request = Request(
            "POST",
            path_of("/admin/import/tenants"),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            admin=True,
            safe=True,
        )
        return cast("types.ImportTenantsAnswerBody", self._transport.json(request))

    def list_all_jobs(
        self,
        *,
        status: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.AllJobsAnswerBody:
        """List the jobs of all tenants, newest first. Pass next_cursor as cursor to get the next page, until it is
        empty. A status that no job can have lists none. A status without cursor and limit lists up to 10,000 jobs at
        once.
        """
        request = Request(
            "GET",
            path_of("/admin/jobs"),
            query={"status": status, "limit": limit, "cursor": cursor},
            admin=True,
        )
        return cast("types.AllJobsAnswerBody", self._transport.json(request))

    def list_deliveries(
        self,
        *,
        webhook_id: str | None = None,
        job_id: str | None = None,
        state: Literal["WAITING", "PAUSED", "DELIVERED", "GIVEN_UP"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.DeliveriesPageBody:
        """List deliveries, newest first. What was sent or is waiting: events for webhooks, and answers to task tokens.
        Progress is not listed. Deliveries are kept for 30 days. Pass next_cursor as cursor to get the next page,
        until it is empty.
        """
        request = Request(
            "GET",
            path_of("/webhooks/deliveries"),
            query={"webhook_id": webhook_id, "job_id": job_id, "state": state, "limit": limit, "cursor": cursor},
        )
        return cast("types.DeliveriesPageBody", self._transport.json(request))

    def list_events(self, id: str) -> types.EventsAnswerBody:
        """List a job's state transitions."""
        request = Request("GET", path_of("/jobs/{id}/events", id))
        return cast("types.EventsAnswerBody", self._transport.json(request))

    def list_jobs(
        self,
        *,
        status: Literal["QUEUED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"] | None = None,
        scenario_id: str | None = None,
        study: str | None = None,
        point: int | None = None,
        variant: str | None = None,
        label: list[str] | None = None,
        submitted_after: str | None = None,
        submitted_before: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.JobsPageBody:
        """List jobs, newest first. Pass next_cursor as cursor to get the next page, until it is empty. Jobs submitted
        meanwhile do not shift the pages.
        """
        request = Request(
            "GET",
            path_of("/jobs"),
            query={"status": status, "scenario_id": scenario_id, "study": study, "point": point, "variant": variant, "label": label, "submitted_after": submitted_after, "submitted_before": submitted_before, "limit": limit, "cursor": cursor},
        )
        return cast("types.JobsPageBody", self._transport.json(request))

    def list_plots(self, id: str) -> types.Plots:
        """List the plots available for a job."""
        request = Request("GET", path_of("/jobs/{id}/plots", id))
        return cast("types.Plots", self._transport.json(request))

    def list_scenarios(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.ScenariosPageBody:
        """List scenarios, newest first. Each entry has the size of its networks and demand. Pass next_cursor as cursor
        to get the next page, until it is empty. Scenarios stored meanwhile do not shift the pages.
        """
        request = Request(
            "GET",
            path_of("/scenarios"),
            query={"limit": limit, "cursor": cursor},
        )
        return cast("types.ScenariosPageBody", self._transport.json(request))

    def list_studies(
        self,
        *,
        status: Literal["RUNNING", "SUCCEEDED", "INCOMPLETE", "FAILED", "CANCELLED"] | None = None,
        label: list[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.StudiesPageBody:
        """List studies, newest first. Pass next_cursor as cursor to get the next page, until it is empty. Studies
        created meanwhile do not shift the pages.
        """
        request = Request(
            "GET",
            path_of("/studies"),
            query={"status": status, "label": label, "limit": limit, "cursor": cursor},
        )
        return cast("types.StudiesPageBody", self._transport.json(request))

    def list_study_plots(self, id: str) -> types.StudyPlots:
        """List the plots of a study. The plot of differences is listed if the study has a baseline; it can be drawn
        against any.
        """
        request = Request("GET", path_of("/studies/{id}/plots", id))
        return cast("types.StudyPlots", self._transport.json(request))

    def list_tables(self, id: str) -> types.Tables:
        """List the tables that a job's outputs make. A table is made on the first request for it, or at the end of the
        run with tables at submission. Then it is ready.
        """
        request = Request("GET", path_of("/jobs/{id}/tables", id))
        return cast("types.Tables", self._transport.json(request))

    def list_tenants(self) -> types.ListAnswerBody:
        """List the tenants."""
        request = Request("GET", path_of("/auth/tenants"), admin=True)
        return cast("types.ListAnswerBody", self._transport.json(request))

    def list_versions(self) -> types.VersionsAnswerBody:
        """List the versions of SUMO on offer. Any installed one can be a job's sumo_version. A job that names none runs
        on the default, or on the newest that can run it.
        """
        request = Request("GET", path_of("/versions"))
        return cast("types.VersionsAnswerBody", self._transport.json(request))

    def list_warmups(self) -> types.WarmupsAnswerBody:
        """List warm-ups and the nodes that can run jobs."""
        request = Request("GET", path_of("/admin/warmup/status"), admin=True)
        return cast("types.WarmupsAnswerBody", self._transport.json(request))

    def list_webhooks(self) -> types.WebhooksAnswerBody:
        """List webhooks, oldest first. Without those that submissions name (webhook_url)."""
        request = Request("GET", path_of("/webhooks"))
        return cast("types.WebhooksAnswerBody", self._transport.json(request))

    def ready(self, *, once: bool | None = None) -> types.HealthReport:
        """Report whether requests can be served."""
        request = Request("GET", path_of("/ready"), query={"once": once})
        return cast("types.HealthReport", self._transport.json(request))

    def reconcile(self, *, window_seconds: int | None = None) -> types.Report:
        """Reconcile now. The schedule calls this, with a plain POST or a CloudEvent (binary or structured) whose
        content does not matter. A call made while another is working returns immediately with skipped true; one
        whose process is asked to stop returns with interrupted true.
        """
        request = Request(
            "POST",
            path_of("/reconcile"),
            query={"window_seconds": window_seconds},
            admin=True,
            safe=True,
        )
        return cast("types.Report", self._transport.json(request))

    def redeliver(self, id: str) -> types.Delivery:
        """Send a delivery again. Makes the delivery due at once, whatever became of it, with all its attempts before
        it. Its message_id stays the same.
        """
        request = Request(
            "POST",
            path_of("/webhooks/deliveries/{id}/redeliver", id),
            safe=True,
        )
        return cast("types.Delivery", self._transport.json(request))

    def regenerate_key(self, body: types.RegenerateRequestBody) -> types.Tenant:
        """Issue a new API key. All earlier keys of the tenant stop working immediately."""
        request = Request(
            "POST",
            path_of("/auth/regenerate-key"),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            admin=True,
        )
        return cast("types.Tenant", self._transport.json(request))

    def register_tenant(self, body: types.RegisterRequestBody) -> types.Tenant:
        """Register a tenant. The answer contains the tenant's API key, which is shown only once: keep it."""
        request = Request(
            "POST",
            path_of("/auth/register"),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            admin=True,
        )
        return cast("types.Tenant", self._transport.json(request))

    def retry_job(self, id: str, *, idempotency_key: str | None = None) -> types.Submitted:
        """Submit a finished job again. Creates a new job from the same scenario with the same options, but without its
        task_token and webhook_url.
        """
        request = Request(
            "POST",
            path_of("/jobs/{id}/retry", id),
            key=idempotency_key or new_key(),
        )
        return cast("types.Submitted", self._transport.json(request))

    def retry_study(self, id: str, *, idempotency_key: str | None = None) -> types.RetryStudyAnswerBody:
        """Run the failed runs of a study again. Those that have failed or were cancelled get a new job each, with the
        same point and seed; the earlier jobs stay. A study that was cancelled or stopped also goes on with the runs
        that never started. A finished study is RUNNING again, which is a submission as POST /studies is.
        """
        request = Request(
            "POST",
            path_of("/studies/{id}/retry", id),
            key=idempotency_key or new_key(),
        )
        return cast("types.RetryStudyAnswerBody", self._transport.json(request))

    def rotate_webhook_secret(self, id: str, body: types.RotateRequestBody) -> types.NewWebhook:
        """Replace a webhook's secret. The answer has the new secret, which is shown only here. Until keep_old_for
        seconds have passed, messages carry the signatures of both secrets, so that the receiver can be switched
        without a gap.
        """
        request = Request(
            "POST",
            path_of("/webhooks/{id}/rotate-secret", id),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
        )
        return cast("types.NewWebhook", self._transport.json(request))

    def start_warmup(
        self,
        *,
        idempotency_key: str | None = None,
        cpu_request: int | None = None,
        memory_gi: int | None = None,
        keep_alive_seconds: int | None = None,
    ) -> types.Warmup:
        """Bring up a node before jobs need it. Starts a pod that reserves a run's resources for a while and makes the
        node pull SUMO's image. Without a cluster, the machine is always warm: the call answers as a cluster with a
        warm node does, and reserves nothing.
        """
        request = Request(
            "POST",
            path_of("/admin/warmup"),
            query={"cpu_request": cpu_request, "memory_gi": memory_gi, "keep_alive_seconds": keep_alive_seconds},
            admin=True,
            key=idempotency_key or new_key(),
        )
        return cast("types.Warmup", self._transport.json(request))

    def submit_job_s3(
        self,
        body: types.S3RequestBody,
        *,
        idempotency_key: str | None = None,
    ) -> types.Submitted:
        """Submit a job whose scenario is in S3 or already stored. The scenario is a zip (sumo_files_s3_url) or a list
        of files (sumo_files_s3_urls) in buckets that the operator has opened for the tenant, or a stored scenario
        (scenario). Unknown fields are ignored, and of several configurations in files from S3 the first runs, unless
        config_file names one; warnings say so. Numbers may be written as strings, and strings as numbers.
        """
        request = Request(
            "POST",
            path_of("/jobs/s3"),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            key=idempotency_key or new_key(),
        )
        return cast("types.Submitted", self._transport.json(request))

    def update_tenant(
        self,
        id: str,
        body: types.LimitChange,
        *,
        max_cpu: int | None = None,
        max_memory_gi: int | None = None,
        max_concurrent_jobs: int | None = None,
    ) -> types.Tenant:
        """Change a tenant's limits and its default version of SUMO. Give the new values in the query or as JSON.
        Running jobs continue; queued ones are subject to the new limits.
        """
        request = Request(
            "PATCH",
            path_of("/auth/tenants/{id}", id),
            query={"max_cpu": max_cpu, "max_memory_gi": max_memory_gi, "max_concurrent_jobs": max_concurrent_jobs},
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
            admin=True,
        )
        return cast("types.Tenant", self._transport.json(request))

    def update_webhook(self, id: str, body: types.ChangeWebhookRequestBody) -> types.Webhook:
        """Change a webhook. Fields that are left out stay as they are. To pause a webhook, disable it; what is waiting
        for it is sent when it is enabled again.
        """
        request = Request(
            "PATCH",
            path_of("/webhooks/{id}", id),
            content=json.dumps(body, allow_nan=False).encode(),
            content_type="application/json",
        )
        return cast("types.Webhook", self._transport.json(request))
