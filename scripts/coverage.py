"""Count how many networks of random settings lie within theory's bands: results/coverage/README.md.

python scripts/coverage.py
python scripts/coverage.py --settings 50 --seed 7 --out my_coverage
"""

import _signal  # at once there, while `signal` reads files, in which Ctrl-C would end in a traceback

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends it in silence until it can say so

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from experiments.cli.entry import main

    sys.exit(main("coverage", about=__doc__))
