from __future__ import annotations

import inspect
import os
import uuid
from typing import TYPE_CHECKING

import pytest

import sumo_k8_client
from sumo_k8_client import JobNotFoundError, JobStatus, SumoK8Client, SumoK8Error

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch, key: str) -> SumoK8Client:
    monkeypatch.setenv("SUMO_K8_API_KEY", key)
    return sumo_k8_client.get_client()


# As the predecessor's package has them.
SIGNATURES = {
    "__init__": "base_url=None, api_key=None, admin_key=None, timeout=30",
    "health": "",
    "ready": "",
    "submit_job": "scenario_id, sumo_files, cpu_request=2, memory_gi=4",
    "get_job_status": "job_id",
    "get_job_logs": "job_id",
    "stream_job_logs": "job_id, callback=None",
    "get_job_results": "job_id",
    "wait_for_completion": "job_id, timeout=3600, poll_interval=10, progress_callback=None",
    "submit_and_wait": "scenario_id, sumo_files, cpu_request=2, memory_gi=4, timeout=3600, progress_callback=None",
    "get_dashboard": "",
    "register_tenant": "tenant_id, max_cpu=10, max_memory_gi=32, max_concurrent_jobs=5",
    "list_tenants": "",
    "get_cluster_status": "",
    "get_cluster_activity": "",
    "list_all_jobs": "status=None",
    "warmup": "cpu_request=2, memory_gi=4, keep_alive_seconds=300",
    "warmup_status": "",
}


def test_the_signatures_are_the_predecessors() -> None:
    def shown(name: str) -> str:
        parameters = list(inspect.signature(getattr(SumoK8Client, name)).parameters.values())[1:]
        return ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters)

    assert {name: shown(name) for name in SIGNATURES} == SIGNATURES


def test_a_script_of_the_predecessor_runs(old: SumoK8Client, networks: Path) -> None:
    assert old.health()["status"] == "healthy"
    assert old.ready()
    job = old.submit_job("old-script", str(networks / "cross.zip"), cpu_request=1, memory_gi=1)
    heard: list[str] = []
    lines = list(old.stream_job_logs(job["job_id"], callback=heard.append))
    assert lines
    assert heard == lines
    seen: list[JobStatus] = []
    status = old.wait_for_completion(job["job_id"], timeout=60, poll_interval=0.1, progress_callback=seen.append)
    assert status.is_complete
    assert status.is_success
    assert seen[-1] == status
    assert status.completed_at
    assert status.scenario_id == "old-script"
    assert status.result_files
    assert "\n".join(lines) in old.get_job_logs(job["job_id"])["logs"]
    assert old.get_job_results(job["job_id"])["files"]
    assert old.get_dashboard().stats
    assert old.submit_and_wait("again", str(networks / "cross.zip"), timeout=60).is_success


def test_operators_scripts_run(old: SumoK8Client) -> None:
    name = f"old-{uuid.uuid4()}"
    tenant = old.register_tenant(name)
    assert (tenant.tenant_id, tenant.max_cpu, tenant.max_memory_gi, tenant.max_concurrent_jobs) == (name, 10, 32, 5)
    assert tenant.api_key
    assert name in [t.tenant_id for t in old.list_tenants()]
    assert "nodes" in old.get_cluster_status()
    assert "k8s_jobs" in old.get_cluster_activity()
    assert isinstance(old.list_all_jobs(status="SUCCEEDED")["jobs"], list)
    assert old.warmup(keep_alive_seconds=60)
    assert old.warmup_status()


def test_errors_have_the_predecessors_names(old: SumoK8Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobNotFoundError):
        old.get_job_status(str(uuid.uuid4()))
    with pytest.raises(sumo_k8_client.AuthenticationError):
        SumoK8Client(os.environ["SUMO_K8_URL"], api_key="sk-wrong").get_dashboard()
    monkeypatch.delenv("SUMO_K8_URL")
    with pytest.raises(SumoK8Error, match="SUMO_K8_URL"):
        SumoK8Client()
