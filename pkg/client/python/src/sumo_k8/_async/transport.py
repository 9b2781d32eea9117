from __future__ import annotations

import hashlib
import json
import time
from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from sumo_k8._results import is_there, part_of
from sumo_k8._wire import (
    ANSWER_WITHIN,
    CONNECT_WITHIN,
    FIRST_PAUSE,
    SILENCE,
    UPLOAD_WITHIN,
    Event,
    EventReader,
    NeverSentError,
    Patience,
    Request,
    base_of,
    described,
    refusal,
)
from sumo_k8.errors import SumoK8Error, UnreachableError


class AsyncTransport:
    """Sends requests, again where that is worthwhile. It follows no redirect, which could carry our keys elsewhere."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        admin_key: str | None,
        *,
        patience: float,
        user_agent: str,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base = base_of(base_url)
        self._api_key = api_key
        self._admin_key = admin_key
        self._seconds = patience
        self._answered = False
        self._http = httpx.AsyncClient(transport=transport, headers={"User-Agent": user_agent})

    async def close(self) -> None:
        await self._http.aclose()

    async def json(self, request: Request) -> Any:
        """The JSON of a good answer."""
        raw = await self.fetch(request)
        try:
            return json.loads(raw)
        except ValueError as e:
            raise SumoK8Error(f"the answer to {request.method} {request.path} is not what a SUMO-K8 service says: {e}") from None

    async def fetch(self, request: Request) -> bytes:
        """A good answer as it came. The request is sent until it is answered."""
        patience = Patience(self._seconds, request.repeatable)
        while True:
            try:
                async with self._exchange(request, UPLOAD_WITHIN if request.form else ANSWER_WITHIN) as response:
                    return await response.aread()
            except SumoK8Error as error:
                pause = patience.pause(error, self._answered)
            await sleep(pause)

    async def save(self, request: Request, path: Path) -> None:
        """Write a good answer into a file, which appears there only when it is complete."""
        patience = Patience(self._seconds, request.repeatable)
        part = part_of(path)
        while True:
            try:
                async with self._exchange(request, SILENCE) as response:
                    with part.open("wb") as file:
                        async for chunk in response.aiter_bytes():
                            file.write(chunk)
                part.replace(path)
                return
            except SumoK8Error as error:
                pause = patience.pause(error, self._answered)
            finally:
                part.unlink(missing_ok=True)
            await sleep(pause)

    async def events(self, path: str, until: float | None = None) -> AsyncIterator[Event]:
        """The events of a stream up to one called end, or until a time of time.monotonic. Streams that end early, as those through a
        gateway must, or that break, are resumed: no event is lost or repeated.
        """
        patience = Patience(self._seconds, True)
        after, pause = "", FIRST_PAUSE
        while True:
            headers = {"Accept": "text/event-stream;version=2"}
            if after:
                headers["Last-Event-ID"] = after
            reader, silent = EventReader(), True
            left = SILENCE if until is None else until - time.monotonic()
            if left <= 0:
                return
            try:
                async with self._exchange(Request("GET", path, headers=headers), min(SILENCE, left)) as response:
                    async for chunk in response.aiter_bytes():
                        silent = False
                        for event in reader.feed(chunk):
                            patience.rewarded()
                            after = event.id or after
                            yield event
                            if event.name == "end":
                                return
                        if until is not None and time.monotonic() >= until:
                            return
                    if response.status_code == 204:
                        return
                    if silent:
                        raise UnreachableError(described("GET", self.base + path), "the stream ended before it began")
                pause = FIRST_PAUSE if reader.retry is None else reader.retry
            except SumoK8Error as error:
                if until is not None and time.monotonic() >= until:
                    return
                pause = patience.pause(error, self._answered)
            await sleep(pause)

    async def download(self, path: str, target: Path, size: int, sha256: str | None) -> None:
        """Write the file behind the link at path to target, where it appears only when it is complete. A broken transfer resumes where
        it broke, and a file that is there is not fetched again.
        """
        if is_there(target, size, sha256):
            return
        patience = Patience(self._seconds, True)
        part = part_of(target)
        checksum = hashlib.sha256()
        got = 0
        try:
            with part.open("wb") as file:
                while got < size:
                    try:
                        # The link works only for a while, and the key is not sent to it.
                        link = await self._link(path)
                        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={got}-"} if got else {})}
                        async with self._get(link, headers, 206 if got else 200) as response:
                            # The store's bytes as they are: content that is stored compressed stays so.
                            async for chunk in response.aiter_raw():
                                file.write(chunk)
                                checksum.update(chunk)
                                got += len(chunk)
                                patience.rewarded()
                        if got < size:
                            raise UnreachableError(described("GET", link), f"the download broke off after {got} bytes of {size}")
                    except SumoK8Error as error:
                        pause = patience.pause(error, self._answered)
                    else:
                        break
                    await sleep(pause)
            if got != size:
                raise SumoK8Error(f"{target.name}: got {got} bytes of {size}")
            if sha256 and checksum.hexdigest() != sha256.lower():
                raise SumoK8Error(
                    f"{target.name}: its SHA-256 is {checksum.hexdigest()}, and the service says {sha256}: "
                    "it was damaged on the way; fetch it again"
                )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    async def _link(self, path: str) -> str:
        """Where the service redirects to."""
        async with self._exchange(Request("GET", path), ANSWER_WITHIN, redirect=True) as response:
            return urljoin(str(response.url), response.headers["location"])

    @asynccontextmanager
    async def _get(self, url: str, headers: dict[str, str], status: int) -> AsyncIterator[httpx.Response]:
        """The answer of another server, without our keys."""
        request = self._http.build_request("GET", url, headers=headers, timeout=httpx.Timeout(SILENCE, connect=CONNECT_WITHIN))
        async with self._answer(request) as response:
            if not response.is_success:
                await response.aread()
                raise refusal(described("GET", url), response.status_code, response.headers, response.content)
            if response.status_code != status:
                raise SumoK8Error(f"{described('GET', url)} answered {response.status_code} to a request for the rest of the file")
            yield response

    @asynccontextmanager
    async def _exchange(self, request: Request, within: float, redirect: bool = False) -> AsyncIterator[httpx.Response]:
        """Send a request once. Any answer that is not good, or with redirect one that is no redirect, is an error."""
        headers = dict(request.headers)
        if request.admin and self._admin_key:
            headers["X-Admin-Key"] = self._admin_key
        elif not request.admin and self._api_key:
            headers["Authorization"] = self._api_key if self._api_key.startswith("Bearer ") else "Bearer " + self._api_key
        if request.key:
            headers["Idempotency-Key"] = request.key
        if request.content_type:
            headers["Content-Type"] = request.content_type
        body: dict[str, Any] = {}
        if request.form is not None:
            body["data"] = dict(request.form.fields)
            if request.form.file is not None:
                request.form.file.seek(0)
                body["files"] = {"sumo_files": (request.form.name, request.form.file, "application/zip")}
        elif request.content is not None:
            body["content"] = request.content
        sent = self._http.build_request(
            request.method,
            self.base + request.path,
            params=request.params,
            headers=headers,
            timeout=httpx.Timeout(within, connect=CONNECT_WITHIN),
            **body,
        )
        async with self._answer(sent) as response:
            if response.has_redirect_location if redirect else response.is_success:
                yield response
                return
            await response.aread()
            raise refusal(described(request.method, str(sent.url)), response.status_code, response.headers, response.content)

    @asynccontextmanager
    async def _answer(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        name = described(request.method, str(request.url))
        try:
            response = await self._http.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as e:
            raise NeverSentError(name, str(e) or "no connection") from e
        except httpx.TransportError as e:
            raise UnreachableError(name, str(e) or type(e).__name__) from e
        self._answered = True
        try:
            yield response
        except httpx.TransportError as e:
            raise UnreachableError(name, f"the answer broke off: {str(e) or type(e).__name__}") from e
        finally:
            await response.aclose()
