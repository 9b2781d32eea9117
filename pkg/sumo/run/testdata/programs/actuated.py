#!/usr/bin/env python
"""Keeps a phase while its approaches still bring vehicles, as SUMO's tutorial traci_tls does."""
import optparse
import os
import sys

if "SUMO_HOME" in os.environ:
    sys.path.append(os.path.join(os.environ["SUMO_HOME"], "tools"))
else:
    sys.exit("please declare environment variable 'SUMO_HOME'")

from sumolib import checkBinary  # noqa
import traci  # noqa


def run(light):
    lanes = sorted(set(traci.trafficlight.getControlledLanes(light)))
    held = 0
    for _ in range(200):
        traci.simulationStep()
        waiting = sum(traci.lane.getLastStepHaltingNumber(lane) for lane in lanes)
        coming = sum(traci.lane.getLastStepVehicleNumber(lane) for lane in lanes)
        if coming > 2 * waiting and held < 40:
            traci.trafficlight.setPhaseDuration(light, 5)
            held += 1
        else:
            held = 0
    traci.close()
    sys.stdout.flush()


if __name__ == "__main__":
    parser = optparse.OptionParser()
    parser.add_option("--nogui", action="store_true", default=False)
    options, args = parser.parse_args()
    binary = checkBinary("sumo") if options.nogui else checkBinary("sumo-gui")
    traci.start([binary, "-c", args[0], "--tripinfo-output", "actuated_trips.xml", "--start", "-Q", "--delay", "100"]
                if not options.nogui else [binary, "-c", args[0], "--tripinfo-output", "actuated_trips.xml"])
    run(traci.trafficlight.getIDList()[0])
