"""Compares tables, as pandas, pyarrow and DuckDB read them, with what sumolib reads in the outputs that they were made from.

usage: compare.py FOLDER: with TABLE.parquet, and FOLDER/TABLE.txt with the names of the outputs, one a line
"""
import json
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


def values(texts, kind):
    """What a column of a type has for attributes; None where they are missing."""
    if kind == "string":
        return texts
    make = {"float64": float, "int64": int, "boolean": {"1": True, "true": True, "0": False, "false": False}.__getitem__}[kind]
    return [None if text is None or text in ("", "None") else make(text) for text in texts]


def present(column):
    """A column as a reader has it, with None where a value is missing."""
    return [None if v is pandas.NA or v != v else v for v in column]


def check(folder, name):
    path = os.path.join(folder, name + ".parquet")
    with open(os.path.join(folder, name + ".txt")) as f:
        sources = f.read().split()
    arrow = pyarrow.parquet.read_table(path)
    schema = json.loads(arrow.schema.metadata[b"sumo-k8"])
    kinds = {c["name"]: c["type"] for c in schema["columns"]}
    for c in schema["columns"]:
        assert arrow.schema.metadata.get(b"sumo-k8.unit." + c["name"].encode(), b"").decode() == c["unit"], c
    written = {c: [] for c in kinds}
    rows = 0
    for source in sources:
        for row in readers[name](source):
            unknown = row.keys() - kinds.keys()
            assert not unknown, f"{name} lacks {unknown}"
            for c, texts in written.items():
                texts.append(row.get(c))
            rows += 1
    assert rows == arrow.num_rows, f"{name} has {arrow.num_rows} rows, and the outputs {rows}"
    panda = pandas.read_parquet(path)
    assert list(panda.columns) == list(kinds), f"{name} has {list(panda.columns)} by pandas"
    for c, kind in kinds.items():
        # A column at a time: all rows of all columns as Python's objects are gigabytes.
        want = present(values(written[c], kind))
        quoted = '"' + c.replace('"', '""') + '"'
        duck = duckdb.sql(f"SELECT {quoted} FROM read_parquet('{path}')").fetchall()
        for reader, column in {"pyarrow": arrow.column(c).to_pylist(), "pandas": panda[c], "DuckDB": [v for v, in duck]}.items():
            got = present(column)
            assert len(got) == rows, f"{name} by {reader}: {c} has {len(got)} rows of {rows}"
            if got != want:
                row = next(i for i, (a, b) in enumerate(zip(got, want)) if a != b)
                raise AssertionError(f"{name} by {reader}: row {row}, {c}: {got[row]!r}, and SUMO wrote {written[c][row]!r}")
        written[c] = None
    return rows, len(kinds)


for entry in sorted(os.listdir(sys.argv[1])):
    name, ext = os.path.splitext(entry)
    if ext == ".parquet":
        print(name, *check(sys.argv[1], name))
