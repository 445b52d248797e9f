"""Draw figures from stored records, without training.

python scripts/plot.py deep_sigmoid
python scripts/plot.py deep_sigmoid ratio_by_depth "gradient_by_layer(hue=init)"
"""

import _signal  # at once there, while `signal` reads files, in which Ctrl-C would end in a traceback

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends it in silence until it can say so

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from experiments.cli.entry import main

    sys.exit(main("plot", about=__doc__))
