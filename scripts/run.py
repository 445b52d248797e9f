"""Train the runs of an experiment that are not stored yet; summarise, draw and judge their records.

python scripts/run.py configs/deep_sigmoid.yaml
python scripts/run.py configs/deep_sigmoid.yaml depth=[2,4] lr=0.01 --jobs 2
python scripts/run.py --from results/deep_sigmoid
"""

import _signal  # at once there, while `signal` reads files, in which Ctrl-C would end in a traceback

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends it in silence until it can say so

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from experiments.cli.entry import main

    sys.exit(main("run", about=__doc__))
