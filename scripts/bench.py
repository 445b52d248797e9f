"""Time this engine and the installed alternatives in turn, on the same step and with the same records.

python scripts/bench.py --quick
python scripts/bench.py --shapes 10x64 --dtypes float32 --rounds 3 --seconds-per-cell 2
"""

import _signal  # at once there, while `signal` reads files, in which Ctrl-C would end in a traceback

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends it in silence until it can say so

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from experiments.cli.entry import main

    sys.exit(main("bench", about=__doc__))
