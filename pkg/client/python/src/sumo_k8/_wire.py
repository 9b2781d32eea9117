"""The HTTP contract without any I/O: what is sent, what an answer means, and when to try again."""

from __future__ import annotations

import json
import random
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import IO, Any, Union
from urllib.parse import quote, urlsplit, urlunsplit

from .errors import ApiError, AuthenticationError, NotFoundError, QuotaExceededError, SumoK8Error, UnreachableError

ANSWER_WITHIN = 70.0
"""Seconds that an answer may take. The service holds no call longer than 50 s."""
UPLOAD_WITHIN = 300.0
"""Seconds until an upload, which is checked first, is answered. No gateway lets a request take longer than Knative's 300 s."""
SILENCE = 60.0
"""Seconds that a stream may be silent before it is taken for dead. Log streams send a heartbeat every 15 s."""
CONNECT_WITHIN = 30.0
PATIENCE = 30.0
"""Seconds for which a call is repeated while the service is unreachable. A restart takes some seconds."""
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
"""Bounds how long a service that is back waits for the next try."""
MAX_EVENT_LINE = 1 << 20
"""Far longer than any readable line of a log."""

Query = Mapping[str, Union[str, int, float, bool, "list[str]", None]]


def new_key() -> str:
    """An Idempotency-Key that nobody else has."""
    return str(uuid.uuid4())


def path_of(template: str, *values: str) -> str:
    """The path that template is with its placeholders, in their order, replaced by values. Slashes of the last value are kept in
    paths that end in a name, since a file's name has them.
    """
    parts = re.split(r"{(\w+)}", template)
    out = parts[0]
    for name, value, rest in zip(parts[1::2], values, parts[2::2]):
        if not str(value):
            raise SumoK8Error(f"{name} is empty, and {template} needs it")
        out += quote(str(value), safe="/" if name == "name" else "") + rest
    return out


@dataclass(frozen=True)
class Form:
    """A form with fields, and the zip of a scenario after them, so that the service can refuse the fields before it takes the zip."""

    fields: Mapping[str, Any]
    name: str = ""
    file: IO[bytes] | None = None


@dataclass(frozen=True)
class Request:
    """A call that can be sent several times."""

    method: str
    path: str
    query: Query = field(default_factory=dict)
    content: bytes | None = None
    content_type: str = ""
    form: Form | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    admin: bool = False
    key: str = ""
    """Makes a POST repeatable: the service does the same thing only once for it."""
    safe: bool = False
    """A POST that changes nothing, or nothing more when it is repeated."""

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does the same as sending it once."""
        return bool(self.key) or self.safe or self.method in ("GET", "DELETE", "PUT")

    @property
    def params(self) -> dict[str, str | list[str]]:
        """The query as texts."""
        out: dict[str, str | list[str]] = {}
        for name, value in self.query.items():
            if value is None or value == []:
                continue
            if isinstance(value, bool):
                out[name] = "true" if value else "false"
            elif isinstance(value, list):
                out[name] = [str(v) for v in value]
            else:
                out[name] = str(value)
        return out


def base_of(url: str) -> str:
    """The address of a service, checked."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.username or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not the address of a service; write it like https://sumo.example.com")
    return url.rstrip("/")


def described(method: str, url: str) -> str:
    """A request without its query, where links carry their signature."""
    return f"{method} {without_query(url)}"


def without_query(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def retry_after(text: str, now: datetime | None = None) -> float:
    """The seconds of a Retry-After header, which holds seconds or a date (RFC 9110, section 10.2.3). 0 means none."""
    if text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - (now or datetime.now(timezone.utc))).total_seconds())


def refusal(request: str, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error that an answer other than 2xx is. Problem documents (RFC 9457) say why; others are shown by their beginning."""
    kind = {401: AuthenticationError, 403: AuthenticationError, 404: NotFoundError, 429: QuotaExceededError}.get(status, ApiError)
    known = {"request_id": headers.get("x-request-id", ""), "retry_after": retry_after(headers.get("retry-after", ""))}
    if 300 <= status < 400:
        target = without_query(headers.get("location", "")) or "an address that it does not name"
        detail = f"It redirects to {target}, and our keys are not sent there. If that is the service, use that address."
        return kind(request, status, detail, **known)  # type: ignore[arg-type]
    if headers.get("content-type", "").partition(";")[0].strip() == "application/problem+json":
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if isinstance(document, dict):
            return kind(
                request,
                status,
                document.get("detail") or document.get("title") or "",
                code=document.get("code") or "",
                items=document.get("errors") or [],
                document=document,
                **known,  # type: ignore[arg-type]
            )
    return kind(request, status, repr(body[:200].decode("utf-8", "replace")), **known)  # type: ignore[arg-type]


class NeverSentError(UnreachableError):
    """A request of which nothing has left this machine."""


class Patience:
    """Decides about one call whether it is worth another try, and after which pause."""

    def __init__(self, seconds: float, repeatable: bool) -> None:
        self._seconds = seconds
        self._repeatable = repeatable
        self._since: float | None = None  # of the first failure in a row
        self._pause = 0.0

    def rewarded(self) -> None:
        """The service has delivered something."""
        self._since, self._pause = None, 0.0

    def pause(self, error: SumoK8Error, answered: bool, now: float | None = None) -> float:
        """Seconds until the next try; raises error to give up. Answered is whether the service has ever answered."""
        wait = self._worthwhile(error, answered)
        if wait is None:
            raise error
        now = time.monotonic() if now is None else now
        if self._since is None:
            self._since = now
        if now + wait - self._since > self._seconds:
            raise error
        return wait

    def _worthwhile(self, error: SumoK8Error, answered: bool) -> float | None:
        if isinstance(error, ApiError):
            if error.status_code == 429:
                pass  # it was not processed
            elif not self._repeatable or error.code in ("not_configured", "storage_refused"):
                return None
            elif error.status_code == 409 and error.retry_after:
                pass  # our own first try is still being worked on
            elif error.status_code not in (502, 503, 504):
                return None
            return max(error.retry_after, self._next())
        if isinstance(error, NeverSentError):
            # A service that has never answered is more likely a wrong address than one that restarts.
            return self._next() if answered else None
        if isinstance(error, UnreachableError) and self._repeatable:
            return self._next()
        return None

    def _next(self) -> float:
        """Doubles from one failure to the next. Its random part keeps many clients of one service apart."""
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        return self._pause / 2 + random.random() * self._pause / 2


@dataclass(frozen=True)
class Event:
    """A server-sent event."""

    id: str
    """Empty when it has none of its own."""
    name: str
    data: str

    def json(self) -> dict[str, Any]:
        """Its data, which is always JSON."""
        try:
            document = json.loads(self.data)
        except ValueError as e:
            raise SumoK8Error(f"event {self.data[:200]!r} is not JSON: {e}") from None
        if not isinstance(document, dict):
            raise SumoK8Error(f"event {self.data[:200]!r} is not an object")
        return document


class EventReader:
    """Reads an event stream (WHATWG HTML, 9.2), whose lines end in LF or CRLF, from its bytes as they come. The beginning of an event
    that is cut off is dropped, as the standard asks, so that resuming after the last id misses and repeats nothing.
    """

    def __init__(self) -> None:
        self.retry: float | None = None
        """Seconds that the server asks to wait before the stream is opened again."""
        self._rest = b""
        self._clear()

    def _clear(self) -> None:
        self._id, self._name, self._data = "", "message", [""][:0]

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that end in chunk."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MAX_EVENT_LINE:
            raise SumoK8Error(f"a line of the stream is longer than {MAX_EVENT_LINE} bytes")
        for line in lines:
            event = self._line(line.rstrip(b"\r").decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if line == "":
            event = Event(self._id, self._name, "\n".join(self._data)) if self._data else None
            self._clear()
            return event
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "id":
            self._id = value
        elif name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "retry" and value.isdigit():
            self.retry = min(int(value) / 1000, LONGEST_PAUSE)
        return None


TERMINAL = ("SUCCEEDED", "INCOMPLETE", "FAILED", "CANCELLED")
"""States in which a job or study stays."""
