"""The same loop as over TraCI, with SUMO in the program's own process."""
import sys

import libsumo as traci

traci.start(["sumo", "-c", sys.argv[1], "--tripinfo-output", "libsumo_trips.xml"])
halting = 0
while traci.simulation.getTime() < 100:
    traci.simulationStep()
    halting += sum(traci.edge.getLastStepHaltingNumber(e) for e in traci.edge.getIDList())
traci.close()
with open("halting.txt", "w") as f:
    f.write("%d\n" % halting)
