"""Switches the phases of every traffic light by the clock, over TraCI."""
import sys

import traci

traci.start(["sumo", "-c", sys.argv[1], "--tripinfo-output", "fixed_trips.xml", "--end", "300"])
step = 0
while traci.simulation.getMinExpectedNumber() > 0 and step < 300:
    traci.simulationStep()
    if step % 20 == 0:
        for light in traci.trafficlight.getIDList():
            phases = len(traci.trafficlight.getAllProgramLogics(light)[0].phases)
            traci.trafficlight.setPhase(light, (step // 20) % phases)
    step += 1
print("steps", step)
traci.close()
