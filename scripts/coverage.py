"""Count how many networks of random settings lie within theory's bands: results/coverage/README.md.

python scripts/coverage.py
python scripts/coverage.py --settings 50 --seed 7 --out my_coverage
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--settings", type=int, default=300, metavar="N", help="how many (default: 300)")
    parser.add_argument("--networks", type=int, default=8, metavar="N", help="of each (default: 8)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of settings (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("results/coverage"), metavar="FOLDER")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    from experiments.verification.band_coverage import coverage_command

    sys.exit(coverage_command(given.settings, given.networks, given.seed, given.out))
