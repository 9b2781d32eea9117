"""Compares tables, as pandas, pyarrow and DuckDB read them, with what sumolib reads in the outputs that they were made from.

usage: compare.py FOLDER: with TABLE.parquet, and FOLDER/TABLE.txt with the names of the outputs, one a line
"""
import json
import math
import os
import sys

import duckdb
import pandas
import pyarrow.parquet
from sumolib import xml


def attributes(element, prefix="", renamed={}):
    names = ((k.removeprefix("attr_"), v) for k, v in element.getAttributes())  # sumolib renames keywords of Python
    return {renamed.get(k, prefix + k): v for k, v in names}


def flat(file, outer, kind=None):
    """A row for each element within each outer one, whose attributes it has too."""
    for o in xml.parse(file, outer):
        for e in o.getChildList():
            yield {**attributes(o), **({kind: e.name} if kind else {}), **attributes(e)}


def tripinfo(file):
    for e in xml.parse(file, "tripinfo"):
        row = attributes(e)
        for child in e.getChildList():
            row.update(attributes(child, child.name + "_"))
        yield row


def personinfo(file):
    for e in xml.parse(file, ["personinfo", "containerinfo"]):
        row = {"kind": e.name, **attributes(e)}
        for i, stage in enumerate(e.getChildList()):
            yield {**row, "stage": stage.name, "stage_number": str(i), **attributes(stage, "stage_")}
        if not e.getChildList():
            yield row


def edgedata(file):
    for interval in xml.parse(file, "interval"):
        around = attributes(interval, renamed={"id": "interval_id"})
        for edge in interval.getChildList():
            for lane in edge.getChildList():
                yield {**around, **attributes(edge), **attributes(lane, renamed={"id": "lane"})}
            if not edge.getChildList():
                yield {**around, **attributes(edge)}


def queue(file):
    for data in xml.parse(file, "data"):
        for lanes in data.getChildList():
            for lane in lanes.getChildList():
                yield {**attributes(data), **attributes(lane)}


def plain(element):
    return lambda file: (attributes(e) for e in xml.parse(file, element))


readers = {
    "summary": plain("step"), "tripinfo": tripinfo, "personinfo": personinfo, "edgedata": edgedata,
    "fcd": lambda file: flat(file, "timestep", "kind"), "emission": lambda file: flat(file, "timestep"), "queue": queue,
    "lanechange": plain("change"), "stops": plain("stopinfo"),
    "detectors": lambda file: ({"file": os.path.basename(file), **row} for row in plain("interval")(file)),
}


def value(text, kind):
    """What a column of a type has for an attribute; None where it is missing."""
    if text is None or kind != "string" and text in ("", "None"):
        return None
    if kind == "boolean":
        return text in ("1", "true")
    return {"float64": float, "int64": int, "string": str}[kind](text)


def same(a, b):
    missing = lambda v: v is None or v is pandas.NA or isinstance(v, float) and math.isnan(v)
    return missing(a) and missing(b) or a == b


def check(folder, name):
    path = os.path.join(folder, name + ".parquet")
    with open(os.path.join(folder, name + ".txt")) as f:
        sources = f.read().split()
    arrow = pyarrow.parquet.read_table(path)
    schema = json.loads(arrow.schema.metadata[b"sumo-k8"])
    kinds = {c["name"]: c["type"] for c in schema["columns"]}
    for c in schema["columns"]:
        assert arrow.schema.metadata.get(b"sumo-k8.unit." + c["name"].encode(), b"").decode() == c["unit"], c
    duck = duckdb.sql(f"SELECT * FROM read_parquet('{path}')")
    columns = {
        "pyarrow": {c: arrow.column(c).to_pylist() for c in kinds},
        "pandas": {c: list(v) for c, v in pandas.read_parquet(path).items()},
        "DuckDB": dict(zip(duck.columns, zip(*duck.fetchall()) if arrow.num_rows else [[] for _ in kinds])),
    }
    rows = 0
    for source in sources:
        for row in readers[name](source):
            unknown = set(row) - set(kinds)
            assert not unknown, f"{name} lacks {unknown}"
            for c, kind in kinds.items():
                want = value(row.get(c), kind)
                for reader, table in columns.items():
                    got = table[c][rows]
                    assert same(want, got), f"{name} by {reader}: row {rows}, {c}: {got!r}, and SUMO wrote {row.get(c)!r}"
            rows += 1
    assert rows == arrow.num_rows, f"{name} has {arrow.num_rows} rows, and the outputs {rows}"
    return rows, len(kinds)


for entry in sorted(os.listdir(sys.argv[1])):
    name, ext = os.path.splitext(entry)
    if ext == ".parquet":
        print(name, *check(sys.argv[1], name))
