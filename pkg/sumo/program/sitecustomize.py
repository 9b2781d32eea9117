"""What SUMO-K8 adds to Python for a scenario's own program.

The options that a run asks of SUMO are merged into those that the program
gives to libsumo and to TraCI's load, as they are for a SUMO that it starts.
"""
import sys
from importlib.machinery import PathFinder

STEP_LINES = 0.5  # seconds between two step lines of libsumo, which writes none itself
CLOSING = 10  # seconds that SUMO may take to end after its program


class Run:
    """What the run asks of SUMO. All that it needs is imported when a program uses SUMO, not by each Python."""

    def __init__(self):
        import json
        import os

        self.here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(self.here, "..", "rules.json")) as rules:
            self.rules = json.load(rules)
        self.lock = None

    def alone(self):
        """Whether no other process of the run has a SUMO with added outputs."""
        import fcntl
        import os

        try:
            if self.lock is None:
                self.lock = open(os.path.join(self.rules["results"], "added.lock"), "w")
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def merge(self, arguments, alone):
        """The arguments of SUMO, with what the run asks of it."""
        import json
        import os
        import subprocess

        command = [os.path.join(self.here, "merge-options"), "alone" if alone else "beside"] + [str(a) for a in arguments]
        merged = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        if merged.returncode != 0:
            raise ValueError(merged.stderr.strip())
        answer = json.loads(merged.stdout)
        for warning in answer["warnings"] or []:
            sys.stderr.write("Warning: %s\n" % warning)
        return answer["arguments"] or []

    def lines(self):
        """The pipe for SUMO's lines, or None."""
        import os

        try:
            return os.open(self.rules["log"]["SUMO"], os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None


def patch_libsumo(module):
    """Merges options into start and load, and writes step lines."""
    import os
    import time

    simulation, run = module.simulation, Run()
    start, load, step = simulation.start, simulation.load, simulation.step
    lines, written = run.lines(), [0]

    def started(command, *args, **kwargs):
        return start(["sumo"] + run.merge(list(command)[1:], run.alone()), *args, **kwargs)

    def loaded(arguments):
        return load(run.merge(arguments, run.alone()))

    def stepped(*args, **kwargs):
        result = step(*args, **kwargs)
        now = time.monotonic()
        if now - written[0] >= STEP_LINES:
            written[0] = now
            running = module.vehicle.getIDCount()
            departed = simulation.getParameter("", "stats.vehicles.inserted") or running  # empty before SUMO 1.20
            waiting = simulation.getParameter("", "stats.vehicles.waiting") or 0
            line = "Step #%.2f (vehicles TOT %s ACT %s BUF %s)\n" % (simulation.getTime(), departed, running, waiting)
            try:
                os.write(lines, line.encode())
            except BlockingIOError:
                pass
        return result

    simulation.start, simulation.load = staticmethod(started), staticmethod(loaded)
    if lines is not None:
        simulation.step = staticmethod(stepped)


def patch_traci(module):
    """Merges options into load, and lets SUMO end after a program that does not close it."""
    import atexit
    import subprocess

    connection = module.Connection
    load = connection.load

    def loaded(self, arguments):
        # The only SUMO has the lock of added outputs, and keeps it.
        return load(self, Run().merge(arguments, len(set(module._connections.values())) == 1))

    def close():
        for c in set(module._connections.values()):
            process, link = getattr(c, "_process", None), getattr(c, "_socket", None)
            try:
                if link is not None:
                    link.close()
                if process is not None:
                    process.wait(CLOSING)
            except (OSError, subprocess.TimeoutExpired):
                pass

    connection.load = loaded
    atexit.register(close)


PATCHES = {"libsumo.libsumo": patch_libsumo, "traci.connection": patch_traci}


class Finder:
    """Patches modules when they are imported."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        patch = PATCHES.get(name)
        if patch is None:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_patch(module):
            execute(module)
            patch(module)

        spec.loader.exec_module = execute_and_patch
        return spec


sys.meta_path.insert(0, Finder)
