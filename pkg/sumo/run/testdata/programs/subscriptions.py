"""Subscribes to each vehicle and writes what arrives."""
import random
import sys

import numpy
import traci
import traci.constants as tc

random.seed(int(sys.argv[2]))
traci.start(["sumo", "-c", sys.argv[1], "--seed", sys.argv[2], "--fcd-output", "fcd.xml", "--fcd-output.skip-arrived"][:-1])
speeds = []
for step in range(100):
    traci.simulationStep()
    for vehicle in traci.simulation.getDepartedIDList():
        traci.vehicle.subscribe(vehicle, (tc.VAR_SPEED, tc.VAR_ROAD_ID))
    results = traci.vehicle.getAllSubscriptionResults()
    speeds.append(numpy.mean([r[tc.VAR_SPEED] for r in results.values()]) if results else 0)
    if results and random.random() < 0.2:
        traci.vehicle.slowDown(sorted(results)[0], 3, 5)
traci.close()
numpy.savetxt("speeds.csv", speeds, fmt="%.6f")
