"""Run stacks in this process, in worker processes or on a Dask cluster.

All three are a `concurrent.futures.Executor`, and `outcomes` drives any of them. A stack that raises, whose
worker dies or that hangs past its limit loses nothing but itself: it is tried once more, then given up.
"""

from experiments.sweeps.executors.attempts import Outcome, WorkerLost, ending, outcomes
from experiments.sweeps.executors.cluster import Dask
from experiments.sweeps.executors.here import Here
from experiments.sweeps.executors.processes import Workers, cores

__all__ = ["Dask", "Here", "Outcome", "WorkerLost", "Workers", "cores", "ending", "outcomes"]
