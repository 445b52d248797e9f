"""`python unreported.py …` is `python scripts/run.py …` without its report: a fifth of a short run's time."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, __file__]

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from experiments.cli.entry import main
    from experiments.report import experiment_page

    experiment_page.write_report = lambda *given, **options: ([], None)
    sys.exit(main("run"))
