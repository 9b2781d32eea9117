"""What people see of jobs and studies: cards in notebooks, progress bars, pictures."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from sumo_k8 import types

COLOURS = {"SUCCEEDED": "#15803d", "FAILED": "#b91c1c", "CANCELLED": "#6b7280"}
RUNNING = "#1d4ed8"

WIDTH = 800
"""Pixels of a plot, which fit into the column of a notebook."""


def number(value: float) -> str:
    """Value with as many digits as people read."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def with_unit(value: float, unit: str) -> str:
    return number(value) if unit in ("", "1") else f"{number(value)} {unit}"


def label(state: str) -> str:
    """State as a coloured word."""
    colour = COLOURS.get(state, RUNNING)
    return (
        f'<span style="background:{colour};color:#fff;border-radius:4px;padding:1px 7px;font-size:85%;font-weight:600">'
        f"{html.escape(state)}</span>"
    )


def bar(share: float, state: str) -> str:
    """A progress bar of 160 pixels."""
    share = min(max(share, 0), 1)
    return (
        '<span style="display:inline-block;width:160px;height:9px;border-radius:5px;background:#d1d5db;vertical-align:middle">'
        f'<span style="display:block;width:{100 * share:.0f}%;height:9px;border-radius:5px;background:{COLOURS.get(state, RUNNING)}">'
        f'</span></span> <span style="font-variant-numeric:tabular-nums">{100 * share:.0f} %</span>'
    )


def rows(pairs: list[tuple[str, str]]) -> str:
    """A table of names and values, which are HTML."""
    cells = "".join(
        f'<tr><td style="text-align:left;opacity:.7;padding-right:1em">{html.escape(name)}</td>'
        f'<td style="text-align:left">{value}</td></tr>'
        for name, value in pairs
    )
    return f"<table>{cells}</table>"


def card(title: str, state: str, pairs: list[tuple[str, str]]) -> str:
    return f"<div><div><b>{html.escape(title)}</b> {label(state)}</div>{rows(pairs)}</div>"


def job_card(job: types.Job) -> str:
    """A job for a notebook."""
    pairs = [("job", f"<code>{html.escape(job['job_id'])}</code>")]
    if job["status"] == "RUNNING":
        pairs.append(("progress", bar(job["progress"], job["status"])))
    for name, value in (("SUMO", job.get("sumo_version")), ("configuration", job.get("config_file")), ("seed", job.get("seed"))):
        if value not in (None, ""):
            pairs.append((name, html.escape(str(value))))
    if job.get("error"):
        pairs.append(("error", html.escape(str(job["error"]))))
    elif job.get("message"):
        pairs.append(("message", html.escape(str(job["message"]))))
    pairs.extend(("warning", html.escape(w)) for w in (job.get("warnings") or [])[:5])
    return card(job["scenario_id"], job["status"], pairs)


def study_card(study: types.Study) -> str:
    """A study for a notebook: its runs, and those of each point."""
    runs = study.get("runs")
    status = study.get("status", "not started")
    pairs = [("study", f"<code>{html.escape(study.get('study_id', ''))}</code>")]
    if runs is not None:
        pairs.append(("runs", f"{bar(runs['done'] / max(runs['planned'], 1), status)} {runs['done']} of {runs['planned']}"))
        if runs["failed"]:
            pairs.append(("failed", str(runs["failed"])))
    if study.get("message"):
        pairs.append(("message", html.escape(str(study["message"]))))
    text = card(study.get("name", ""), status, pairs)
    points = study.get("points") or []
    shown = points[:20]
    if shown:
        lines = "".join(
            f'<tr><td style="text-align:left">{html.escape(point_label(p))}</td><td>{p["runs"]["succeeded"]}</td>'
            f"<td>{p['runs']['failed']}</td><td>{p['runs']['running']}</td></tr>"
            for p in shown
        )
        head = '<tr><th style="text-align:left">point</th><th>succeeded</th><th>failed</th><th>running</th></tr>'
        more = f"<div>and {len(points) - len(shown)} more points</div>" if len(points) > len(shown) else ""
        text += f"<table>{head}{lines}</table>{more}"
    return text


def point_label(point: types.StudyPoint) -> str:
    """A point for people: "base, demand 0.8"."""
    setting = point.get("setting") or {}
    return ", ".join([point["variant"], *(f"{axis} {value}" for axis, value in setting.items())])


@dataclass(frozen=True)
class Picture:
    """A plot, which notebooks show."""

    data: bytes
    format: str
    """svg or png"""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it into a file, whose name must not promise another format: p.svg for an SVG picture, p.png for a PNG one."""
        target = Path(path)
        named = target.suffix.removeprefix(".").lower()
        if named in ("svg", "png") and named != self.format:
            raise ValueError(
                f'this picture is {self.format}, not {named}: ask for plot(format="{named}"), or save it as {target.stem}.{self.format}'
            )
        target.write_bytes(self.data)
        return target

    def __repr__(self) -> str:
        return f"<{self.format} picture of {len(self.data)} bytes>"

    def _repr_svg_(self) -> str | None:
        return self.data.decode() if self.format == "svg" else None

    def _repr_png_(self) -> bytes | None:
        return self.data if self.format == "png" else None


@dataclass(frozen=True, eq=False)
class Summary(Mapping[str, float]):
    """The figures of a finished job by their names, such as summary["mean_speed"]; units has their units."""

    document: types.Summary
    units: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", {m["name"]: m["unit"] for m in self.document["metrics"]})

    @property
    def partial(self) -> bool:
        """The run stopped early."""
        return self.document["partial"]

    def __getitem__(self, name: str) -> float:
        for metric in self.document["metrics"]:
            if metric["name"] == name:
                return metric["value"]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.units)

    def __len__(self) -> int:
        return len(self.units)

    def __repr__(self) -> str:
        return "\n".join(f"{name:<32} {with_unit(value, self.units[name])}" for name, value in self.items())

    def _repr_html_(self) -> str:
        return rows([(name, html.escape(with_unit(value, self.units[name]))) for name, value in self.items()])


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    shell = sys.modules.get("IPython")
    if shell is None:
        return False
    return type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


class Bar:
    """A progress bar from 0 to 1: in notebooks as HTML, on terminals by tqdm, elsewhere and without tqdm nothing."""

    def __init__(self, title: str, show: bool | None) -> None:
        self._title = title
        self._share, self._state, self._note = 0.0, "", ""
        self._handle: Any = None
        self._tqdm: Any = None
        if show is False:
            return
        if in_notebook():
            import IPython.display

            display: Any = IPython.display.display
            self._handle = display(self, display_id=True)
        elif show or sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self._tqdm = tqdm(total=100, desc=title, bar_format="{desc} {percentage:3.0f} %|{bar}| {elapsed}{postfix}")

    @property
    def shown(self) -> bool:
        """Whether anybody sees it."""
        return self._handle is not None or self._tqdm is not None

    def at(self, share: float, state: str, note: str = "") -> None:
        """Show how far it is."""
        if (share, state, note) == (self._share, self._state, self._note):
            return
        self._share, self._state, self._note = share, state, note
        if self._handle is not None:
            self._handle.update(self)
        if self._tqdm is not None:
            self._tqdm.n = 100 * share
            self._tqdm.set_postfix_str(f"{state} {note}".strip())

    def close(self) -> None:
        if self._tqdm is not None:
            self._tqdm.close()

    def __repr__(self) -> str:
        return f"{self._title}: {100 * self._share:.0f} % {self._state} {self._note}".rstrip()

    def _repr_html_(self) -> str:
        note = f" {html.escape(self._note)}" if self._note else ""
        return f"{html.escape(self._title)} {bar(self._share, self._state)} {html.escape(self._state)}{note}"
