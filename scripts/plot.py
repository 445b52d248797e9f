"""Draw figures from stored records, without training.

python scripts/plot.py deep_sigmoid
python scripts/plot.py deep_sigmoid ratio_by_depth "gradient_by_layer(hue=init)"
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("name", help="an experiment: the stem of its config, a folder of results/")
    parser.add_argument("figures", nargs="*", help="which, with options if need be (default: the config's)")
    return parser


if __name__ == "__main__":
    options = arguments().parse_args()
    from experiments.pipeline import plot
    from experiments.storage.files import StoreError

    try:
        print(*plot(options.name, options.figures), sep="\n")
    except (StoreError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
