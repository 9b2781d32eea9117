"""Prints, as JSON, how long the trips of a run of 100,000 vehicles take to become a DataFrame, and how long sumolib takes to read them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from sumo_k8 import Client

TRIPS = 100_000

# Vehicles that cross the first 30 m of an approach, on each of its lanes as often as there is room.
LANES = {"west_in": 2, "east_in": 2, "north_in": 1, "south_in": 1}
SECONDS_PER_VEHICLE = 3


def scenario(networks: Path, folder: Path) -> Path:
    """A scenario with TRIPS short trips."""
    with zipfile.ZipFile(networks / "cross.zip") as archive:
        archive.extractall(folder)
    lanes = [(edge, lane) for edge, number in LANES.items() for lane in range(number)]
    each = -(-TRIPS // len(lanes))
    flows = [
        f'<flow id="{edge}.{lane}" route="{edge}" begin="0" end="{each * SECONDS_PER_VEHICLE}" number="{min(each, TRIPS - each * i)}" '
        f'departLane="{lane}" departSpeed="max" departPos="0" arrivalPos="30"/>'
        for i, (edge, lane) in enumerate(lanes)
    ]
    routes = [f'<route id="{edge}" edges="{edge}"/>' for edge in LANES]
    (folder / "cross.rou.xml").write_text("<routes>" + "".join(routes + flows) + "</routes>")
    config = folder / "cross.sumocfg"
    config.write_text(config.read_text().replace('<end value="1500"/>', f'<end value="{each * SECONDS_PER_VEHICLE + 1000}"/>'))
    return folder


def timed(do: Any) -> tuple[float, float, Any]:
    """What do returns, after how long it took, and how much of the processor's time of this process."""
    began, used = time.perf_counter(), time.process_time()
    result = do()
    return time.perf_counter() - began, time.process_time() - used, result


def main() -> None:
    import pyarrow.parquet
    import sumolib

    pyarrow.table({"a": [1]}).to_pandas()  # so that loading the libraries is not measured, pandas among them
    networks = Path(os.environ["DOCS"]).parent / "test_networks" / "ready_to_use"
    with Client.from_env() as operator:
        key = str(operator.api.register_tenant({"tenant_id": "benchmark"})["api_key"])
    with Client(os.environ["SUMO_K8_URL"], key) as client, tempfile.TemporaryDirectory() as folder:
        job = client.submit(scenario(networks, Path(folder, "scenario"))).wait(progress=False)
        first, first_cpu, frame = timed(lambda: job.table("tripinfo"))
        again, again_cpu, frame = timed(lambda: job.table("tripinfo"))
        (path,) = job.results.download(folder, "tripinfo.xml")

        def parse() -> list[dict[str, str]]:
            return [dict(trip.getAttributes()) for trip in sumolib.xml.parse(str(path), "tripinfo")]

        reference, reference_cpu, trips = timed(parse)
    if len(frame) != TRIPS or len(trips) != TRIPS:
        sys.exit(f"there are {len(frame)} rows and {len(trips)} trips, and not {TRIPS}")
    for column in trips[0]:
        if column not in frame.columns:
            sys.exit(f"the table lacks {column}")
        values = frame[column].tolist()
        kind = type(values[0])
        if values != [kind(trip[column]) for trip in trips]:
            sys.exit(f"{column} is not what sumolib reads")
    figures = {"first-s": first, "again-s": again, "sumolib-s": reference, "columns": len(trips[0])}
    cpu = {"first-client-cpu-s": first_cpu, "again-client-cpu-s": again_cpu, "sumolib-cpu-s": reference_cpu}
    print(json.dumps({**figures, **cpu}))


if __name__ == "__main__":
    main()
