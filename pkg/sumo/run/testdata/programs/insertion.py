"""Writes a route file of its own into the scenario, starts SUMO on it, and inserts vehicles by hand."""
import subprocess
import sys

import traci

with open("generated.rou.xml", "w") as routes:
    routes.write('<routes><vType id="car" accel="2"/></routes>\n')
network = sys.argv[1]
sumo = subprocess.Popen(["sumo", "-n", network, "-r", "generated.rou.xml", "--remote-port", "8813",
                         "--tripinfo-output", "inserted.xml", "--no-step-log", "true"], stdout=sys.stdout)
traci.init(8813)
edges = [e for e in traci.edge.getIDList() if not e.startswith(":")]
inserted = 0
for step in range(120):
    if step % 5 == 0:
        start, end = edges[step % len(edges)], edges[(7 * step + 3) % len(edges)]
        route = traci.simulation.findRoute(start, end)
        if route.edges:
            traci.route.add("r%d" % step, route.edges)
            traci.vehicle.add("v%d" % step, "r%d" % step, typeID="car", departSpeed="max")
            inserted += 1
    traci.simulationStep()
traci.close()
sumo.wait()
print("inserted", inserted)
