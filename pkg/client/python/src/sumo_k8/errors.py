"""What can go wrong. Every error of this package is a SumoK8Error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sumo_k8 import types


class SumoK8Error(Exception):
    """An error of the service, or in reaching it."""


class ApiError(SumoK8Error):
    """The service refused a request. Its text is the service's own, with one line for each fault."""

    def __init__(
        self,
        request: str,
        status_code: int,
        detail: str,
        *,
        code: str = "",
        items: list[types.Item] | None = None,
        request_id: str = "",
        retry_after: float = 0,
        document: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.request = request
        """Method and address."""
        self.status_code = status_code
        """The HTTP status."""
        self.detail = detail
        """What happened, and what to do about it."""
        self.code = code
        """The kind of the problem, for programs; empty if something other than the service answered."""
        self.items: list[types.Item] = items or []
        """The faults that were found in the input."""
        self.request_id = request_id
        """By which the operator finds the request in the log."""
        self.retry_after = retry_after
        """Seconds after which the service asks to be called again; 0 for none."""
        self.document = document or {}
        """The problem document (RFC 9457)."""

    def __str__(self) -> str:
        lines = [f"{self.request} answered {self.status_code}: {self.detail}"]
        for item in self.items:
            location = item.get("location")
            lines.append(f"  {location}: {item['message']}" if location else f"  {item['message']}")
        return "\n".join(lines)


class AuthenticationError(ApiError):
    """The key is missing, not valid, or not allowed to do this (401 and 403)."""


class NotFoundError(ApiError):
    """There is no such job, study, scenario or file (404)."""


class QuotaExceededError(ApiError):
    """A limit of the tenant or the service is reached, and waiting did not help (429)."""


class UnreachableError(SumoK8Error):
    """A request got no whole answer."""

    def __init__(self, request: str, reason: str) -> None:
        super().__init__(f"{request}: {reason}")
        self.request = request
        """Method and address."""
        self.reason = reason


class ScenarioError(SumoK8Error):
    """A folder or zip on this machine cannot be sent."""


class JobFailedError(SumoK8Error):
    """A job ended without success. Its results, as far as the run came, can still be read."""

    def __init__(self, job: types.Job) -> None:
        self.document = job
        self.job_id = job["job_id"]
        self.status = job["status"]
        self.reason = job.get("reason") or ""
        """Why, for programs: SimulationError, DeadlineExceeded and so on."""
        why = job.get("error") or job.get("message") or self.reason
        super().__init__(f"Job {self.job_id} {self.status}: {why}" if why else f"Job {self.job_id} {self.status}")


class StudyFailedError(SumoK8Error):
    """A study ended without success, or with runs that failed (INCOMPLETE). The numbers of the others can still be read."""

    def __init__(self, study: types.Study) -> None:
        self.document = study
        self.study_id = study.get("study_id", "")
        self.status = study.get("status", "")
        why = study.get("message")
        super().__init__(f"Study {self.study_id} {self.status}: {why}" if why else f"Study {self.study_id} {self.status}")


class WaitTimeoutError(SumoK8Error, TimeoutError):
    """A wait ended before the job or study did. It goes on."""
