"""Verify stored numbers: train runs again bit for bit, and compute their gradients by other methods.

python scripts/verify.py deep_sigmoid
python scripts/verify.py deep_sigmoid --runs all
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    status = "exit status: 0 everything agrees, 1 something does not, 2 refused"
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], epilog=status)
    parser.add_argument("experiment", help="the name of a folder in results/")
    parser.add_argument(
        "--runs", default="5", metavar="N", help="how many runs, chosen at random, or all (default: 5)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of that choice (default: 0)")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    from experiments.cli.commands import verify_command

    sys.exit(verify_command(given.experiment, given.runs, given.seed))
