"""Open the lab: networks train while one watches, on a page that this machine alone can reach.

python scripts/live.py
python scripts/live.py dying
python scripts/live.py vanishing b.activation=relu --port 5101 --no-browser
"""

import _signal  # at once there, while `signal` reads files, in which Ctrl-C would end in a traceback

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends it in silence until it can say so

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from experiments.cli.entry import main

    sys.exit(main("live", about=__doc__))
