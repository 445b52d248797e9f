"""Run stacks in this process, in worker processes or on a Dask cluster.

All three are a `concurrent.futures.Executor`, and `outcomes` drives any of them. A stack that raises, hangs
or loses its worker is tried once more and then recorded as crashed; no other stack is affected.
"""

from experiments.sweeps.executors.attempts import Outcome, WorkerLost, ending, outcomes
from experiments.sweeps.executors.cluster import Dask
from experiments.sweeps.executors.here import Here
from experiments.sweeps.executors.processes import Workers, cores

__all__ = ["Dask", "Here", "Outcome", "WorkerLost", "Workers", "cores", "ending", "outcomes"]
