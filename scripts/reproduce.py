"""Run every config of a collection, judge its claims and write one report: results/write_up/report.html.

python scripts/reproduce.py
python scripts/reproduce.py --expect results/write_up/claims.csv seed=[10,11,12,13,14,15]
"""

import _signal  # at once there, while `signal` reads files, in which Ctrl-C would end in a traceback

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends it in silence until it can say so

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from experiments.cli.entry import main

    sys.exit(main("reproduce", about=__doc__))
