"""Say what is wrong with the networks of an experiment, and what helps; or what is normal for a setting.

python scripts/diagnose.py configs/deep_sigmoid.yaml --confirm
python scripts/diagnose.py deep_sigmoid
python scripts/diagnose.py --normal activation=gelu depth=12 width=128
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    status = "exit status: 0 done, 2 refused, 130 interrupted"
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], epilog=status)
    parser.add_argument("experiment", nargs="?", default="", help="a YAML file, or a folder in results/")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as in depth=20 or lr=0.01")
    parser.add_argument(
        "--confirm", action="store_true", help="train the proposed cures and say what they bring"
    )
    parser.add_argument("--normal", action="store_true", help="say what is normal before any training")
    parser.add_argument(
        "--benchmark", type=int, default=0, metavar="N", help="measure how often this is right"
    )
    parser.add_argument("--networks", type=int, default=200, help="how many are drawn for --normal (200)")
    parser.add_argument("--jobs", type=int, default=None, metavar="N", help="worker processes (all cores)")
    parser.add_argument("--quiet", action="store_true", help="say nothing of the training")
    given = parser.parse_args()
    if not given.experiment and not given.benchmark:
        parser.error("name a config, a folder in results/, or --normal KEY=VALUE …")
    return given


if __name__ == "__main__":
    given = arguments()
    from experiments.cli.diagnosing import diagnose_command

    sys.exit(diagnose_command(given))
