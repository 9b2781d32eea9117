"""Lets every vehicle drive for ten seconds at half speed, in turns, and reports what it has switched."""

import argparse
import time

import traci

parser = argparse.ArgumentParser()
parser.add_argument("--seed", required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--config", required=True)
parser.add_argument("--pause", type=float, required=True, help="seconds to wait once SUMO listens")
options = parser.parse_args()

traci.start(["sumo", "-c", options.config, "--seed", options.seed])
time.sleep(options.pause)
switched = 0
while traci.simulation.getMinExpectedNumber() > 0:
    traci.simulationStep()
    if traci.simulation.getTime() % 20 == 0:
        for vehicle in traci.vehicle.getIDList():
            traci.vehicle.slowDown(vehicle, traci.vehicle.getAllowedSpeed(vehicle) / 2, 10)
            switched += 1
ended = traci.simulation.getTime()
traci.close()
with open(options.out + "/green.txt", "w") as report:
    report.write("%d switched until %.0f s\n" % (switched, ended))
