"""Train the runs of an experiment that are not stored yet; summarise, draw and judge their records.

python scripts/run.py configs/deep_sigmoid.yaml
python scripts/run.py configs/deep_sigmoid.yaml depth=[2,4] lr=0.01 --jobs 2
python scripts/run.py --from results/deep_sigmoid
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STATUS = "exit status: 0 done (a run may have diverged), 1 something failed, 2 refused, 130 interrupted"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], epilog=STATUS)
    parser.add_argument("config", nargs="?", help="a YAML file; configs/README.md lists its keys")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as in depth=[2,4] or lr=0.01")
    parser.add_argument("--from", dest="manifest", metavar="PATH", help="run a manifest.json again")
    parser.add_argument("--name", help="its folder in results/ (default: the file's name and what changed)")
    parser.add_argument("--plan", action="store_true", help="say what would be trained and how long it takes")
    parser.add_argument("--jobs", type=positive, metavar="N", help="worker processes (default: all cores)")
    parser.add_argument("--dask", metavar="ADDRESS", help="tcp://scheduler:8786, or local:4 to start workers")
    parser.add_argument("--timeout-per-stack", type=positive, metavar="SECONDS", help="when a stack hangs")
    parser.add_argument("--fail-fast", action="store_true", help="start nothing new once a stack has crashed")
    parser.add_argument("--rerun-failed", action="store_true", help="train again what has crashed before")
    parser.add_argument(
        "--only-mine", action="store_true", help="train anew what another machine or version made"
    )
    parser.add_argument("--fresh", action="store_true", help="delete what is stored of the experiment first")
    parser.add_argument("--yes", action="store_true", help="do not ask whether to delete it")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what went wrong")
    return parser.parse_intermixed_args()


def positive(text: str) -> int:
    """Return the whole number, at least 1, that an option's text stands for."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


if __name__ == "__main__":
    given = arguments()
    from experiments.cli.commands import ExecutionOptions, command

    options = ExecutionOptions(
        given.jobs,
        given.dask,
        given.timeout_per_stack,
        given.fail_fast,
        given.rerun_failed,
        given.fresh,
        given.only_mine,
    )
    sys.exit(
        command(
            given.config, given.overrides, options,
            name=given.name, manifest=given.manifest, plan=given.plan, yes=given.yes, quiet=given.quiet,
        )
    )  # fmt: skip
