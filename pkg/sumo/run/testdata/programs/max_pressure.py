"""Max-pressure control: each light serves the phase with the largest difference of queues."""
import argparse

import traci

parser = argparse.ArgumentParser()
parser.add_argument("config")
parser.add_argument("--hold", type=int, default=15)
parser.add_argument("--out", default="out")
options = parser.parse_args()

traci.start(["sumo", "-c", options.config, "--step-length", "1", "--summary-output", options.out + "/pressure.xml"])
with open(options.out + "/choices.csv", "w") as log:
    log.write("time,light,phase\n")
    for step in range(60):
        traci.simulationStep()
        if step % options.hold:
            continue
        for light in traci.trafficlight.getIDList():
            links = traci.trafficlight.getControlledLinks(light)
            logic = traci.trafficlight.getAllProgramLogics(light)[0]
            pressures = []
            for phase in logic.phases:
                pressure = 0
                for signal, connections in zip(phase.state, links):
                    if signal in "gG":
                        for incoming, outgoing, _ in connections:
                            pressure += traci.lane.getLastStepHaltingNumber(incoming)
                            pressure -= traci.lane.getLastStepHaltingNumber(outgoing)
                pressures.append(pressure)
            best = pressures.index(max(pressures))
            traci.trafficlight.setPhase(light, best)
            log.write("%d,%s,%d\n" % (step, light, best))
traci.close()
