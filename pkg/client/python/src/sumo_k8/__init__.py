"""Run SUMO simulations on a SUMO-K8 service.

    from sumo_k8 import Client

    client = Client.from_env()
    job = client.submit("city/", seed=7, outputs=["fcd"]).wait()
    print(job.summary["mean_travel_time"])
    job.results.download("results/")

AsyncClient has the same methods as coroutines.
"""

from . import types
from ._async.client import AsyncClient
from ._async.jobs import AsyncJob, AsyncResults
from ._async.studies import AsyncStudy
from ._reproduce import ComparedFile, ManifestComparison
from ._show import Picture, Summary
from ._sync.client import Client
from ._sync.jobs import Job, Results
from ._sync.studies import Study
from ._version import __version__
from .errors import (
    ApiError,
    AuthenticationError,
    JobFailedError,
    NotFoundError,
    QuotaExceededError,
    ScenarioError,
    StudyFailedError,
    SumoK8Error,
    UnreachableError,
    WaitTimeoutError,
)

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncJob",
    "AsyncResults",
    "AsyncStudy",
    "AuthenticationError",
    "Client",
    "ComparedFile",
    "Job",
    "JobFailedError",
    "ManifestComparison",
    "NotFoundError",
    "Picture",
    "QuotaExceededError",
    "Results",
    "ScenarioError",
    "Study",
    "StudyFailedError",
    "Summary",
    "SumoK8Error",
    "UnreachableError",
    "WaitTimeoutError",
    "__version__",
    "types",
]
