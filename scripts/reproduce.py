"""Run every config of a collection, judge its claims and write one report: results/write_up/report.html.

python scripts/reproduce.py
python scripts/reproduce.py --expect results/write_up/claims.csv seed=[10,11,12,13,14,15]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STATUS = "exit status: 0 all decided, 1 something inconclusive, failed or not as expected, 2 refused"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], epilog=STATUS)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="for all configs, as in seed=[6,7]")
    parser.add_argument(
        "--collection", default="write_up", metavar="NAME", help="a folder of configs/, or any"
    )
    parser.add_argument("--expect", type=Path, metavar="FILE", help="a claims.csv that must come out again")
    parser.add_argument("--readme", action="store_true", help="put the verdicts into README.md")
    parser.add_argument("--jobs", type=int, metavar="N", help="worker processes (default: all cores)")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what went wrong")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    given = arguments()
    from experiments.cli.commands import reproduce_command

    sys.exit(reproduce_command(given))
