"""The client of the predecessor of this service, for scripts that were written for it. New code uses sumo_k8."""

from __future__ import annotations

import os
import time
import weakref
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Callable, cast

from sumo_k8 import AuthenticationError, Client, QuotaExceededError, SumoK8Error, WaitTimeoutError, __version__
from sumo_k8 import NotFoundError as JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

    from sumo_k8._source import Scenario

HOLD = 30
"""Seconds for which the service holds a call."""

__all__ = [
    "AuthenticationError",
    "DashboardInfo",
    "JobNotFoundError",
    "JobStatus",
    "QuotaExceededError",
    "SumoK8Client",
    "SumoK8Error",
    "TenantInfo",
    "__version__",
    "get_client",
]


class _Answer:
    """A dataclass that is filled from an answer, whose other fields are left out."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The one that document describes."""
        return cls(**{f.name: document[f.name] for f in fields(cast("Any", cls)) if f.name in document})


@dataclass
class JobStatus(_Answer):
    """How a job stands."""

    job_id: str
    status: str
    scenario_id: str | None = None
    tenant_id: str | None = None
    cpu_request: int | None = None
    memory_gi: int | None = None
    submitted_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    result_location: str | None = None
    result_files: dict[str, Any] | None = None
    error: str | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The one that document describes."""
        return super().of({**document, "completed_at": document.get("finished_at")})

    @property
    def is_complete(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.status in ("SUCCEEDED", "FAILED", "CANCELLED")

    @property
    def is_success(self) -> bool:
        return self.status == "SUCCEEDED"


@dataclass
class TenantInfo(_Answer):
    """A tenant. Its key is known only to the call that has registered it."""

    tenant_id: str
    namespace: str | None = None
    max_cpu: int | None = None
    max_memory_gi: int | None = None
    max_concurrent_jobs: int | None = None
    api_key: str | None = None
    created_at: str | None = None


@dataclass
class DashboardInfo(_Answer):
    """What a tenant may use, and uses."""

    tenant_id: str
    plan_limits: dict[str, Any]
    current_usage: dict[str, Any]
    running_pods: int
    recent_jobs: list[dict[str, Any]]
    stats: dict[str, Any]


class SumoK8Client:
    """Calls one service.

    Args:
        base_url: its address; SUMO_K8_URL unless given
        api_key: a tenant's key; SUMO_K8_API_KEY unless given
        admin_key: the operator's key; SUMO_K8_ADMIN_KEY unless given
        timeout: seconds for which a call is repeated while the service is unreachable
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None, admin_key: str | None = None, timeout: float = 30) -> None:
        url = base_url or os.environ.get("SUMO_K8_URL")
        if not url:
            raise SumoK8Error("No service is named: set SUMO_K8_URL, or give base_url.")
        self._client = Client(
            url,
            api_key or os.environ.get("SUMO_K8_API_KEY"),
            admin_key=admin_key or os.environ.get("SUMO_K8_ADMIN_KEY"),
            patience=timeout,
        )
        # The predecessor's had nothing to close.
        weakref.finalize(self, self._client.close)

    def health(self) -> dict[str, Any]:
        """How the service and what it depends on are doing."""
        return dict(self._client.api.health())

    def ready(self) -> bool:
        """Whether the service can take work."""
        try:
            self._client.api.ready(once=True)
        except SumoK8Error:
            return False
        return True

    def submit_job(self, scenario_id: str, sumo_files: Scenario, cpu_request: int = 2, memory_gi: int = 4) -> dict[str, Any]:
        """Submit the zip at sumo_files under the name scenario_id."""
        return dict(self._client.submit(sumo_files, name=scenario_id, cpu_request=cpu_request, memory_gi=memory_gi).document)

    def get_job_status(self, job_id: str) -> JobStatus:
        """How a job stands."""
        return JobStatus.of(self._client.api.get_job(job_id))

    def get_job_logs(self, job_id: str) -> dict[str, Any]:
        """The log of a job as it stands, in logs."""
        return dict(self._client.api.get_logs(job_id))

    def stream_job_logs(self, job_id: str, callback: Callable[[str], object] | None = None) -> Iterator[str]:
        """The lines of a job's log until it has ended; callback is called with each."""
        for line in self._client.job(job_id).logs(follow=True):
            if callback is not None:
                callback(line)
            yield line

    def get_job_results(self, job_id: str) -> dict[str, Any]:
        """The files of a job."""
        return dict(self._client.api.get_results(job_id))

    def wait_for_completion(
        self,
        job_id: str,
        timeout: float = 3600,
        poll_interval: float = 10,
        progress_callback: Callable[[JobStatus], object] | None = None,
    ) -> JobStatus:
        """Wait until a job has ended, in whatever way. progress_callback is called with how it stands, every poll_interval seconds.

        Raises:
            WaitTimeoutError: it has not ended within timeout seconds; it is a TimeoutError too
        """
        until = time.monotonic() + timeout
        held: str | None = None
        while True:
            status = JobStatus.of(self._client.api.get_job(job_id, wait=held))
            if progress_callback is not None:
                progress_callback(status)
            if status.is_complete:
                return status
            left = until - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError(f"Job {job_id} is {status.status} after {timeout:g} s; it goes on.")
            # The service holds the call, and answers at once when the status changes.
            held = f"{min(poll_interval, left, HOLD):.3f}s"

    def submit_and_wait(
        self,
        scenario_id: str,
        sumo_files: Scenario,
        cpu_request: int = 2,
        memory_gi: int = 4,
        timeout: float = 3600,
        progress_callback: Callable[[JobStatus], object] | None = None,
    ) -> JobStatus:
        """submit_job, then wait_for_completion."""
        job = self.submit_job(scenario_id, sumo_files, cpu_request, memory_gi)
        return self.wait_for_completion(job["job_id"], timeout, progress_callback=progress_callback)

    def get_dashboard(self) -> DashboardInfo:
        """What the tenant may use, and uses."""
        return DashboardInfo.of(self._client.api.get_dashboard())

    def register_tenant(self, tenant_id: str, max_cpu: int = 10, max_memory_gi: int = 32, max_concurrent_jobs: int = 5) -> TenantInfo:
        """Register a tenant. Its api_key is shown only here."""
        return TenantInfo.of(
            self._client.api.register_tenant(
                {
                    "tenant_id": tenant_id,
                    "max_cpu": max_cpu,
                    "max_memory_gi": max_memory_gi,
                    "max_concurrent_jobs": max_concurrent_jobs,
                }
            )
        )

    def list_tenants(self) -> list[TenantInfo]:
        """All tenants."""
        return [TenantInfo.of(t) for t in self._client.api.list_tenants()["tenants"]]

    def get_cluster_status(self) -> dict[str, Any]:
        """The nodes of the cluster."""
        return dict(self._client.api.get_cluster())

    def get_cluster_activity(self) -> dict[str, Any]:
        """What the cluster is doing."""
        return dict(self._client.api.get_activity())

    def list_all_jobs(self, status: str | None = None) -> dict[str, Any]:
        """The jobs of all tenants, in jobs."""
        return dict(self._client.api.list_all_jobs(status=cast("Any", status)))

    def warmup(self, cpu_request: int = 2, memory_gi: int = 4, keep_alive_seconds: int = 300) -> dict[str, Any]:
        """Have a node made ready for a job."""
        return dict(self._client.api.start_warmup(cpu_request=cpu_request, memory_gi=memory_gi, keep_alive_seconds=keep_alive_seconds))

    def warmup_status(self) -> dict[str, Any]:
        """The nodes that are made ready."""
        return dict(self._client.api.list_warmups())


def get_client() -> SumoK8Client:
    """A client as the environment says."""
    return SumoK8Client()
