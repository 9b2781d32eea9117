"""Five episodes of learning, with a reset by traci.load, as an environment for reinforcement learning does it."""
import sys

import traci

config = sys.argv[1]
rewards = []
traci.start(["sumo", "-c", config, "--no-warnings", "true"])
for episode in range(5):
    if episode > 0:
        traci.load(["-c", config, "--no-warnings", "true", "--tripinfo-output", "episode%d.xml" % episode])
    waiting = 0
    for _ in range(40):
        traci.simulationStep()
        waiting += sum(traci.vehicle.getWaitingTime(v) for v in traci.vehicle.getIDList())
    rewards.append(-waiting)
traci.close()
with open("rewards.txt", "w") as f:
    f.write("\n".join("%.2f" % r for r in rewards) + "\n")
