"""Say what is wrong with the networks of an experiment, and what helps; or what is normal for a setting.

python scripts/diagnose.py configs/deep_sigmoid.yaml --confirm
python scripts/diagnose.py deep_sigmoid
python scripts/diagnose.py --normal activation=gelu depth=12 width=128
"""

import _signal  # at once there, while `signal` reads files, in which Ctrl-C would end in a traceback

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends it in silence until it can say so

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from experiments.cli.entry import main

    sys.exit(main("diagnose", about=__doc__))
