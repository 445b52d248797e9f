"""Do one of the studies in results/studies again: its table and its picture.

python scripts/study.py dead_units
python scripts/study.py advice --jobs 2
"""

import _signal  # at once there, while `signal` reads files, in which Ctrl-C would end in a traceback

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends it in silence until it can say so

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from experiments.cli.entry import main

    sys.exit(main("study", about=__doc__))
