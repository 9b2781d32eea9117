"""Tables as pandas DataFrames. pandas is needed for these only."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import types

if TYPE_CHECKING:
    import pandas as pd


def pandas() -> Any:
    """The module, or what to do to have it."""
    try:
        import pandas
    except ImportError:
        raise ImportError("Tables are pandas DataFrames, and pandas is not installed: pip install 'sumo-k8[pandas]'") from None
    return pandas


def table(parquet: bytes) -> pd.DataFrame:
    """The table of a Parquet file. attrs has units and descriptions by column, the time column, and whether all rows are there."""
    pandas()
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError("Tables come as Parquet, and pyarrow is not installed: pip install 'sumo-k8[pandas]'") from None
    read = pq.read_table(io.BytesIO(parquet))
    schema = json.loads(read.schema.metadata[b"sumo-k8"])
    frame = read.to_pandas()
    columns = [c for c in schema["columns"] if c["name"] in frame.columns]
    frame.attrs["name"] = schema["name"]
    frame.attrs["time_column"] = schema["time_column"]
    frame.attrs["complete"] = schema["complete"]
    frame.attrs["units"] = {c["name"]: c["unit"] for c in columns}
    frame.attrs["descriptions"] = {c["name"]: c["description"] for c in columns}
    return frame


# The folders of a dataset whose values are numbers. A variant called 2030 is not one.
_NUMBERS = ("point", "replication", "seed")


def of_all_runs(dataset: bytes) -> pd.DataFrame:
    """The tables of a zip with a Parquet dataset as one, with the columns that its folders have (name=value). attrs are the first one's."""
    pd = pandas()
    frames = []
    with zipfile.ZipFile(io.BytesIO(dataset)) as archive:
        for name in archive.namelist():
            if not name.endswith(".parquet"):
                continue
            frame = table(archive.read(name))
            for folder in name.split("/")[:-1]:
                column, is_column, value = folder.partition("=")
                if is_column:
                    frame[column] = int(value) if column in _NUMBERS else unquote(value)
            frames.append(frame)
    if not frames:
        return pd.DataFrame()
    whole = pd.concat(frames, ignore_index=True)
    whole.attrs = frames[0].attrs
    return whole


def statistics(document: types.StudyStatistics) -> pd.DataFrame:
    """One row for each point and metric. attrs has units by metric, confidence and notes."""
    return _with_points(document["statistics"], document["points"], document["metrics"], document["confidence"], document["notes"])


def comparison(document: types.StudyComparison) -> pd.DataFrame:
    """One row for each point but the baseline's, and metric. attrs has units by metric, confidence, how p is adjusted, and notes."""
    frame = _with_points(document["comparisons"], document["points"], document["metrics"], document["confidence"], document["notes"])
    frame.attrs["adjustment"] = document["adjustment"]
    return frame


def _with_points(
    rows: Sequence[Any], points: list[types.PointFate], metrics: list[types.StudyMetric], confidence: float, notes: list[str]
) -> pd.DataFrame:
    pd = pandas()
    units = {m["name"]: m["unit"] for m in metrics}
    fates = {p["point"]: p for p in points}
    frame = pd.DataFrame(
        {
            "point": row["point"],
            "label": fates[row["point"]]["label"],
            "variant": fates[row["point"]]["variant"],
            **_settings(fates[row["point"]]["setting"], {"point", "label", "variant", "unit", *row}),
            "metric": row["metric"],
            "unit": units.get(row["metric"], ""),
            **{k: v for k, v in row.items() if k not in ("point", "metric", "unit")},
        }
        for row in rows
    )
    frame.attrs.update(units=units, confidence=confidence, notes=notes)
    return frame


def _settings(setting: Mapping[str, Any] | None, taken: Container[str]) -> dict[str, Any]:
    """The columns of a point's axes. One that is called like another column is axis.NAME, as in the service's CSV."""
    return {f"axis.{name}" if name in taken else name: value for name, value in (setting or {}).items()}


def tidy(document: types.StudyTable) -> pd.DataFrame:
    """One row for each run and metric; the settings of its point are columns. attrs has units by metric."""
    pd = pandas()
    frame = pd.DataFrame({**{k: v for k, v in row.items() if k != "setting"}, **_settings(row["setting"], row)} for row in document["rows"])
    frame.attrs["units"] = {row["metric"]: row["unit"] for row in document["rows"]}
    return frame
