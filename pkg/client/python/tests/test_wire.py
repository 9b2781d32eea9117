"""What the client does when the network, the service or a folder is not as it should be."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sumo_k8 import (
    ApiError,
    Client,
    Picture,
    QuotaExceededError,
    ScenarioError,
    Summary,
    SumoK8Error,
    UnreachableError,
    _results,
    _show,
    _wire,
    types,
)
from sumo_k8._sync.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Callable

JOB = "0198a1c2-0000-7000-8000-000000000000"


class Service(httpx.BaseTransport):
    """Answers each request with the next of its answers."""

    def __init__(self, *answers: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sumo_k8._sync.transport.sleep", lambda _: None)


def job(status: str = "SUCCEEDED") -> dict[str, Any]:
    return {"job_id": JOB, "scenario_id": "city", "status": status, "progress": 1}


def problem(status: int, code: str = "", **headers: str) -> httpx.Response:
    text = json.dumps(
        {"title": "No", "detail": "It is <not> so.", "code": code, "errors": [{"location": "body.seed", "message": "too big"}]}
    )
    return httpx.Response(status, headers={"Content-Type": "application/problem+json", **headers}, text=text)


@pytest.mark.parametrize(
    "failure",
    [
        problem(503),
        problem(502),
        problem(429, **{"Retry-After": "1"}),
        problem(409, **{"Retry-After": "1"}),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("gone"),
        httpx.ReadTimeout(""),
    ],
)
def test_a_submission_is_repeated_with_its_key_and_its_zip(failure: httpx.Response | Exception, tmp_path: Path) -> None:
    (tmp_path / "a.sumocfg").write_text("<configuration/>")
    service = Service(failure, httpx.Response(200, json=job()))
    assert Client("http://service", "sk", transport=service).submit(tmp_path, name="n", seed=1).id == JOB
    first, second = service.requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]

    def parts(r: httpx.Request) -> list[bytes]:
        return r.content.split(r.headers["Content-Type"].partition("boundary=")[2].encode())

    assert parts(first) == parts(second)
    assert b'name="seed"' in first.content.partition(b"PK\x03\x04")[0], "fields come before the zip"


@pytest.mark.parametrize("failure", [problem(500), problem(422), problem(400), problem(503, "not_configured"), problem(409)])
def test_what_a_repetition_does_not_help_is_raised_at_once(failure: httpx.Response) -> None:
    service = Service(failure)
    with pytest.raises(ApiError):
        Client("http://service", transport=service).job(JOB)
    assert len(service.requests) == 1


def test_a_post_without_a_key_is_sent_once() -> None:
    service = Service(httpx.ReadError("reset"))
    with pytest.raises(UnreachableError, match="POST http://service/auth/register: reset"):
        Client("http://service", transport=service).api.register_tenant({"tenant_id": "a"})


def test_a_wrong_address_is_reported_at_once_and_a_restart_is_waited_for() -> None:
    service = Service(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError, match="refused"):
        Client("http://service", transport=service).job(JOB)
    service = Service(httpx.Response(200, json=job()), httpx.ConnectError("refused"), httpx.Response(200, json=job()))
    client = Client("http://service", transport=service)
    client.job(JOB)
    client.job(JOB)


def test_patience_ends() -> None:
    patience = _wire.Patience(10, True)
    error = QuotaExceededError("GET /", 429, "later", retry_after=6)
    assert patience.pause(error, True, now=0) == 6
    with pytest.raises(QuotaExceededError):
        patience.pause(error, True, now=6)
    patience.rewarded()
    assert patience.pause(error, True, now=6) == 6
    pauses = [_wire.Patience(1e9, True).pause(UnreachableError("", ""), True, now=0) for _ in range(50)]
    assert all(_wire.FIRST_PAUSE / 2 <= p <= _wire.FIRST_PAUSE for p in pauses)
    long = _wire.Patience(1e9, True)
    assert max(long.pause(UnreachableError("", ""), True, now=0) for _ in range(50)) <= _wire.LONGEST_PAUSE


def test_errors_print_as_problems_and_without_secrets() -> None:
    service = Service(problem(422, "invalid", **{"X-Request-Id": "r1"}))
    with pytest.raises(ApiError) as e:
        Client("http://service", transport=service).job(JOB)
    assert str(e.value) == f"GET http://service/jobs/{JOB} answered 422: It is <not> so.\n  body.seed: too big"
    assert (e.value.code, e.value.request_id) == ("invalid", "r1")
    redirect = _wire.refusal("GET http://a", 302, {"location": "https://u:p@b/c?signature=x"}, b"")
    assert "https://b/c," in str(redirect)
    assert "signature" not in str(redirect)
    assert str(_wire.refusal("GET http://a", 502, {"content-type": "text/html"}, b"<html>")) == "GET http://a answered 502: '<html>'"
    broken = _wire.refusal("GET http://a", 502, {"content-type": "application/problem+json"}, b"{")
    assert str(broken) == "GET http://a answered 502: '{'"


def test_keys_go_to_the_service_only(tmp_path: Path) -> None:
    service = Service(
        httpx.Response(200, json=job()),
        httpx.Response(200, json={"files": [{"name": "t.xml", "size": 3}]}),
        httpx.Response(302, headers={"Location": "http://store/t.xml?signature=1"}),
        stream(b"abc"),
    )
    client = Client("http://service", "sk-secret", admin_key="admin-secret", transport=service)
    client.job(JOB).results.download(tmp_path)
    assert [r.headers.get("Authorization") for r in service.requests] == ["Bearer sk-secret"] * 3 + [None]
    assert {r.headers.get("X-Admin-Key") for r in service.requests} == {None}


def stream(*chunks: bytes | Exception, status: int = 200) -> httpx.Response:
    class Chunks(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            for chunk in chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk

    return httpx.Response(status, stream=Chunks())


def test_a_broken_download_resumes_where_it_broke(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    link = {"Location": "/store/t.xml?signature=1"}
    listed = {"files": [{"name": "a/t.xml", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}]}
    service = Service(
        httpx.Response(200, json=job()),
        httpx.Response(200, json=listed),
        httpx.Response(302, headers=link),
        stream(content[:1000], httpx.ReadError("reset")),
        httpx.Response(302, headers=link),
        lambda r: stream(content[int(r.headers["Range"][len("bytes=") : -1]) :], status=206),
    )
    paths = Client("http://service", transport=service).job(JOB).results.download(tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in paths] == ["a/t.xml"]
    assert paths[0].read_bytes() == content
    assert service.requests[-1].headers["Range"] == "bytes=1000-"


def test_what_is_there_is_not_downloaded_again(tmp_path: Path) -> None:
    listed = {"files": [{"name": "t.xml", "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}]}
    link = httpx.Response(302, headers={"Location": "/t"})
    service = Service(
        httpx.Response(200, json=job()), httpx.Response(200, json=listed), httpx.Response(200, json=listed), link, stream(b"abc")
    )
    results = Client("http://service", transport=service).job(JOB).results
    (tmp_path / "t.xml").write_bytes(b"abc")
    results.download(tmp_path)
    (tmp_path / "t.xml").write_bytes(b"abd")
    results.download(tmp_path)
    assert (tmp_path / "t.xml").read_bytes() == b"abc"
    assert not service.answers


def test_a_download_beside_another_is_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    listed = {"files": [{"name": "t.xml", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}]}
    left = tmp_path / f"t.xml.{'A' * 26}.part"
    left.write_bytes(b"x")
    os.utime(left, (0, 0))  # its process was killed long ago

    def slowly(_: httpx.Request) -> httpx.Response:
        class Chunks(httpx.SyncByteStream):
            def __iter__(self) -> Any:
                yield content[:1000]
                with pytest.raises(UnreachableError):  # another download begins, and breaks off
                    Client("http://service", patience=0, transport=broken).job(JOB).results.download(tmp_path)
                yield content[1000:]

        return httpx.Response(200, stream=Chunks())

    begins = [httpx.Response(200, json=job()), httpx.Response(200, json=listed), httpx.Response(302, headers={"Location": "/t"})]
    broken = Service(*begins, stream(b"x", httpx.ReadError("reset")))
    Client("http://service", transport=Service(*begins, slowly)).job(JOB).results.download(tmp_path)
    assert (tmp_path / "t.xml").read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["t.xml"]


def test_a_damaged_download_leaves_no_file(tmp_path: Path) -> None:
    listed = {"files": [{"name": "t.xml", "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}]}
    service = Service(
        httpx.Response(200, json=job()),
        httpx.Response(200, json=listed),
        httpx.Response(302, headers={"Location": "/t"}),
        stream(b"abd"),
    )
    with pytest.raises(SumoK8Error, match="damaged"):
        Client("http://service", transport=service).job(JOB).results.download(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "a/../../x", "link/x"])
def test_file_names_do_not_lead_out_of_the_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path.parent)
    with pytest.raises(SumoK8Error, match="leads out"):
        _results.inside(tmp_path, name)


def test_logs_resume_without_losing_or_repeating_lines() -> None:
    service = Service(
        httpx.Response(200, json=job("RUNNING")),
        stream(b'id: 1\ndata: {"message": "a"}\n\nid: 2\nda', b'ta: {"message": "b"}\n\nid: 3\ndata: {"mess'),
        stream(b": heartbeat\n\n", httpx.ReadTimeout("")),
        stream(
            b'id: 3\r\ndata: {"message": "c\\u2028d"}\r\n\r\ndata: {"message": "a remark"}\n\n',
            b'event: end\ndata: {"status": "SUCCEEDED"}\n\n',
        ),
        httpx.Response(200, json=job()),
    )
    watched = Client("http://service", transport=service).job(JOB)
    assert list(watched.logs(follow=True)) == ["a", "b", "c\u2028d"]
    assert watched.status == "SUCCEEDED"
    assert [r.headers.get("Last-Event-ID") for r in service.requests[1:4]] == [None, "2", "2"]


def test_event_streams_cut_anywhere_read_the_same() -> None:
    text = 'retry: 100\nid: 1\nevent: progress\ndata: {"a":\ndata:  1}\n\n: remark\n\nid: 2\r\ndata: {"ü": 2}\r\n\r\n'.encode()
    whole = list(_wire.EventReader().feed(text))
    assert [e.json() for e in whole] == [{"a": 1}, {"ü": 2}]
    for cut in range(len(text)):
        reader = _wire.EventReader()
        assert [*reader.feed(text[:cut]), *reader.feed(text[cut:])] == whole
    with pytest.raises(SumoK8Error, match="longer"):
        list(_wire.EventReader().feed(b"x" * (_wire.MAX_EVENT_LINE + 1)))
    with pytest.raises(SumoK8Error, match="not JSON"):
        _wire.Event("", "", "{").json()


def test_retry_after_holds_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert _wire.retry_after("7") == 7
    assert _wire.retry_after("Thu, 01 Jan 2026 00:01:00 GMT", now) == 60
    assert _wire.retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now) == 0
    assert _wire.retry_after("soon") == 0


@pytest.mark.parametrize("url", ["", "service", "ftp://service", "http://u:p@service", "http://service?a=b"])
def test_addresses_are_checked(url: str) -> None:
    with pytest.raises(ValueError, match="not the address"):
        Client(url)


def test_folders_are_packed_the_same_each_time(tmp_path: Path) -> None:
    from sumo_k8._source import opened

    folder = tmp_path / "city"
    (folder / "sub" / ".git").mkdir(parents=True)
    for name in ("b.xml", "sub/a.xml", ".hidden", "sub/.git/x"):
        (folder / name).write_text(name)
    with opened(folder) as (name, file):
        first = file.read()
        assert name == "city.zip"
    os.utime(folder / "b.xml", (1, 1))
    with opened(folder) as (name, file):
        assert file.read() == first
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            assert archive.namelist() == ["b.xml", "sub/a.xml"]
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(ScenarioError, match="link"), opened(folder):
        pass


def test_settings_come_from_the_environment_or_the_login(tmp_path: Path) -> None:
    def client(**env: str) -> tuple[str, str | None]:
        c = Client.from_env(env)
        return c.url, c._transport._api_key

    assert client(SUMO_K8_URL="http://a", SUMO_K8_API_KEY="k") == ("http://a", "k")
    with pytest.raises(SumoK8Error, match="SUMO_K8_URL"):
        client(HOME=str(tmp_path))
    saved = tmp_path / ".config" / "sumo-k8" / "config.json"
    saved.parent.mkdir(parents=True)
    saved.write_text('{"url": "http://saved", "api_key": "s"}')
    saved.chmod(0o600)
    assert client(HOME=str(tmp_path)) == ("http://saved", "s")
    assert client(HOME=str(tmp_path), SUMO_K8_URL="http://other") == ("http://other", None), "a key goes to its own service only"
    saved.chmod(0o644)
    with pytest.raises(SumoK8Error, match="chmod 600"):
        client(HOME=str(tmp_path))


def test_cards_escape_what_they_show() -> None:
    text = _show.job_card({**job("FAILED"), "scenario_id": "<script>", "error": "a < b", "warnings": ["<b>"]})  # type: ignore[typeddict-item]
    assert "<script>" not in text
    assert "a &lt; b" in text
    assert "&lt;b&gt;" in text
    study = _show.study_card({"study_id": "1", "status": "RUNNING", "name": "<x>"})  # type: ignore[typeddict-item]
    assert "&lt;x&gt;" in study
    metrics: list[types.Metric] = [
        {"name": "mean_speed", "unit": "m/s", "value": 8.0612},
        {"name": "teleports", "unit": "1", "value": 1234567},
    ]
    summary = Summary(
        {"job_id": JOB, "status": "SUCCEEDED", "sumo_version": "1", "config_file": "", "partial": False, "warnings": 0, "metrics": metrics}
    )
    assert repr(summary).split() == ["mean_speed", "8.061", "m/s", "teleports", "1,234,567"]
    assert dict(summary) == {"mean_speed": 8.0612, "teleports": 1234567}


def test_seeds_are_any_whole_numbers_and_values_are_numbers() -> None:
    stored = "0" * 64
    service = Service(*(httpx.Response(200, json={"study_id": "1"}) for _ in range(3)))
    client = Client("http://service", "sk-1", transport=service)
    for seeds in ("1:3", range(1, 4), (n for n in (1, 2, 3))):
        client.study(stored, seeds=seeds)
    sent = [json.loads(request.content)["replications"]["seeds"] for request in service.requests]
    assert sent == ["1:3", [1, 2, 3], [1, 2, 3]]
    with pytest.raises(TypeError, match="float"):
        client.study(stored, seeds=[1.5])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="not JSON compliant"):
        client.study(stored, seeds="1:3", axes=[{"name": "demand", "set": "scale", "values": [float("nan")]}])


def test_scenarios_of_a_study_are_stored_for_its_controller(tmp_path: Path) -> None:
    (tmp_path / "control.py").write_text("import traci")
    for run, expected in ({"controller": {"file": "control.py"}}, "program"), ({"end": 60}, None):
        service = Service(httpx.Response(200, json={"id": "0" * 64}), httpx.Response(200, json={"study_id": "1"}))
        Client("http://service", "sk-1", transport=service).study(tmp_path, seeds="1:2", run=run)  # type: ignore[arg-type]
        assert service.requests[0].url.params.get("for") == expected


def test_a_study_takes_what_the_document_says() -> None:
    ours = set(inspect.signature(Client.study).parameters) - {"self", "scenario", "seeds", "idempotency_key"}
    assert ours == set(types.CreateStudyBody.__annotations__)


def test_blocking_and_asynchronous_clients_have_the_same_methods() -> None:
    import sumo_k8

    for name in ("Client", "Job", "Results", "Study"):
        blocking, asynchronous = getattr(sumo_k8, name), getattr(sumo_k8, "Async" + name)
        assert [n for n in dir(blocking) if not n.startswith("_")] == [n for n in dir(asynchronous) if not n.startswith("_")]
    assert len([n for n in dir(Operations) if not n.startswith("_")]) > 60


def test_a_picture_is_saved_under_a_name_of_its_format(tmp_path: Path) -> None:
    png, svg = Picture(b"\x89PNG", "png"), Picture(b"<svg/>", "svg")
    for picture, name in [(png, "a.png"), (png, "a.PNG"), (svg, "a.svg"), (svg, "a"), (png, "a.old")]:
        assert picture.save(tmp_path / name).read_bytes() == picture.data
    for picture, name in [(png, "b.svg"), (svg, "b.png")]:
        with pytest.raises(ValueError, match=rf'this picture is {picture.format}.*format="{name[2:]}".*b\.{picture.format}'):
            picture.save(tmp_path / name)
        assert not (tmp_path / name).exists()
