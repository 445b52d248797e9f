"""Time this engine and the installed alternatives in turn, on the same step and with the same records.

python scripts/bench.py --quick
python scripts/bench.py --shapes 10x64 --dtypes float32 --rounds 3 --seconds-per-cell 2
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

OUT = Path("results") / "bench"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    from experiments.bench.alternatives import SETTINGS
    from experiments.bench.command import PARTS, Asked
    from experiments.bench.workload import SLOPES

    ask, parser = Asked(), argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    several = {"nargs": "+", "metavar": "X"}
    parser.add_argument("--quick", action="store_true", help="under two minutes; writes if --out is given")
    parser.add_argument("--parts", **several, choices=PARTS, default=ask.parts, help=", ".join(PARTS))
    parser.add_argument("--shapes", **several, default=ask.shapes, help="10x64, 784-10x256, …")
    parser.add_argument("--dtypes", **several, choices=ask.dtypes, default=ask.dtypes)
    parser.add_argument("--activations", **several, choices=SLOPES, default=ask.activations)
    engines = ", ".join(SETTINGS)
    parser.add_argument("--engines", **several, choices=SETTINGS, default=ask.engines, help=engines)
    parser.add_argument("--rounds", type=int, default=ask.rounds)
    parser.add_argument("--seconds-per-cell", type=float, default=ask.seconds, metavar="S")
    parser.add_argument("--keep-environment", action="store_true", help="pass on OPENBLAS_… as it is set")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"default: {OUT}")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    from experiments.bench.command import Asked, command

    asked = Asked(
        given.parts, given.shapes, given.dtypes, given.activations, given.engines, given.rounds,
        given.seconds_per_cell, keep_environment=given.keep_environment, out=given.out,
    )  # fmt: skip
    try:
        sys.exit(command(asked.quick() if given.quick else Asked(**vars(asked) | {"out": given.out or OUT})))
    except ValueError as error:
        sys.exit(f"bench.py: {error}")
