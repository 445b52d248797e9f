"""Nonsense at every command's door: random words, files that are none, settings of the environment.

    python tests/fuzz_doors.py 2000 7     2,000 command lines, drawn with seed 7

A command may work, or refuse in lines that can be printed and with a status of its own; what takes longer
than PATIENCE seconds gets a Ctrl-C. A traceback, another status or a process that does not end is a finding.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.cli import command_lines
from experiments.cli.entry import COMMANDS, front, main

PATIENCE = 4  # seconds, after which the user presses Ctrl-C
STUCK = 60  # seconds after which the process is taken for one that does not end
STATUSES = {0, 1, 2, 130}
CONFIG = """\
question: Does it answer?
base: {dataset: 'moons(n=60)', batch: 16, width: 4, depth: 1, steps: 2}
watch: 2
figures: []
"""
TEXTS = [
    "", " ", "-", "--", "0", "-1", "1", "2", "1.5", "nan", "inf", "1e999", "9" * 5000, "٣", "0x10", "None",
    "null", "=", "a=b", "depth=", "depth=[", "=3", "depth=[1,2]", "seed=-1", "lr=1e999", "plane=-1",
    "plane=501", "plane=nan", "plane=4", "task=regression", "dropout=1", "dropout=0.999999", "dropout=[0.1",
    "dropout=-0", "trace=batch", "dataset=file(path='f.csv', task='regression')",
    "dataset=file(path='f.csv', task='x')", "dataset=file(path='d')", "dataset=file(path='b.bin')",
    "dataset=file()", "activation=leaky_relu(slope=[0,0.1])", "activation=leaky_relu(",
    "activation=relu(x=1)", "loss=mean_squared_error(output='sigmoid')",
    "loss=mean_squared_error(output='x')", "layer_lr=0", "layer_lr=nan", "figures=[boundary]",
    "figures=[dead_units_choice]", "claims=[W01_starvation]", "claims=[W99]", "question=", "name=../x",
    "../x", "/", "/dev/null", "/dev/zero", "/dev/full", "/proc/self/mem", ".", "..", "q.yaml", "d", "p",
    "c", "b.bin", "u.yaml", "l.yaml", "n.yaml", "f.csv", "parts.py", "bad.py", "x" * 300, "é" * 200,
    "/".join(["x"] * 3000), "\udcff", "\u001b[2J", "a\nb", "a\rb", "\u007f", "\u202e", "$HOME", "~",
    "~nobody/x", "*", "%s", "%(prog)s", "{}", "{0.__class__}", "svg", "pdf", "png", "csv", "latex",
    "markdown", "parquet", "jpg", "light", "dark", "7x96", "0x0", "tcp://", "tcp://127.0.0.1:1", "local:0",
    "local:x", "numpy", "paper", "slides", "1.0", "50%", "results/q", "q", "results/q/manifest.json",
    "runs(depth=[1])", "runs(", "gradient_by_layer", "boundary(step=x)",
]  # fmt: skip
ENVIRONMENT = {
    "VG_RESULTS": ["f.csv", "/dev/null", "/proc/x", "x" * 5000, "d", "\n", "c"],
    "VG_DATA": ["f.csv", "/nowhere", "d", "x" * 5000, "\n"],
    "VG_MEMORY": ["nan", "-1", "0", "lots", "1e-9", "9" * 400, "1 GB", ""],
    "VG_DOWNLOAD": ["x", "", "0"],
    "MPLBACKEND": ["nonsense", "agg", ""],
    "MPLCONFIGDIR": ["f.csv", "/proc/x"],
    "COLUMNS": ["0", "-5", "x", "9" * 30],
    "LINES": ["0", "x"],
    "TERM": ["", "dumb", "nonsense"],
    "LC_ALL": ["C", "nonsense"],
    "TZ": ["nonsense/x", ""],
    "HOME": ["", "/nowhere", "f.csv"],
    "OMP_NUM_THREADS": ["x", "0", "-1", "9999999"],
    "SOURCE_DATE_EPOCH": ["x", "-1"],
    "PYTHONHASHSEED": ["x"],
    "NO_COLOR": ["", "x"],
}


def furnish(folder: Path) -> None:
    """Put into a folder what a command may be pointed at by mistake."""
    (folder / "q.yaml").write_text(CONFIG)
    (folder / "n.yaml").write_text("a: {b: [1, {c: &x 2}], d: *x}\n")
    (folder / "l.yaml").write_bytes(CONFIG.encode("latin-1") + b"\xe9\xff: 1\n")
    (folder / "u.yaml").write_text(CONFIG, encoding="utf-16")
    (folder / "b.bin").write_bytes(bytes(range(256)) * 20)
    (folder / "f.csv").write_text("a,b,y\n" + "".join(f"{i},{i * i},{i / 3}\n" for i in range(40)))
    (folder / "parts.py").write_text("from mlp.registry import nothing\n")
    (folder / "bad.py").write_text("import sys\nsys.exit('gone')\n")
    (folder / "d").mkdir()
    os.mkfifo(folder / "p")
    (folder / "c").symlink_to("c")


def words(name: str, draw: random.Random) -> list[str]:
    """Some of a command's options, with texts that mostly make no sense."""
    parser = command_lines.Parser(prog=name)
    getattr(command_lines, name)(parser)
    options = [action.option_strings[-1] for action in parser._actions if action.option_strings]
    line = draw.choices(["q.yaml", "q", draw.choice(TEXTS), None], [3, 3, 3, 1])
    for option in draw.choices(options, k=draw.choice([0, 1, 1, 2, 3])):
        line += [option] if draw.random() < 0.3 else [f"{option}={draw.choice(TEXTS)}"]
    line += draw.choices(TEXTS, k=draw.choice([0, 0, 1, 2]))
    return [word for word in line if word is not None and "\0" not in word]


def tried(name: str, line: list[str], setting: dict[str, str]) -> tuple[int, str]:
    """A command's status, and what is wrong with its answer: nothing if it is as it has to be."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    before = dict(os.environ)
    os.environ.update(setting)
    signal.alarm(PATIENCE)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = front([name, *line]) if len(line) % 2 else main(name, line)
    except BaseException:
        return -1, traceback.format_exc()
    finally:
        signal.alarm(0)
        os.environ.clear()
        os.environ.update(before)
    err.flush()
    return status, fault(status, err.buffer.getvalue().decode())  # type: ignore[attr-defined]


def fault(status: int, said: str) -> str:
    """What is wrong with a status and what was said with it."""
    if status not in STATUSES:
        return f"status {status}: {said}"
    if "Traceback" in said or "Errno" in said:
        return said
    if status == 2 and not said.strip():
        return "refused without a word"
    odd = [text for text in said.splitlines() if not text.isprintable() or len(text) > 2000]
    return f"cannot be printed, or is too long: {odd[0][:300]!r}" if odd else ""


def attempt(seed: int) -> tuple[str, str]:
    """One command line, in a process of its own: its kind (a status or `finding`) and what was found."""
    draw = random.Random(seed)
    command = draw.choice([name for name in COMMANDS if name != "cite"])
    line = words(command, draw)
    names = draw.sample(list(ENVIRONMENT), draw.choice([0, 0, 1, 2]))
    setting = {name: draw.choice(ENVIRONMENT[name]) for name in names}
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    shown = [word[:60] for word in (command, *line, *(f"{name}={text}" for name, text in setting.items()))]
    status, found = tried(command, line, setting)
    return ("finding" if found else f"status {status}"), f"seed {seed}: {shown}\n{found}"


def run(seed: int, folder: Path) -> str:
    """Fork, try, and say what was found; a process that does not end is killed and is a finding."""
    place = folder / str(seed)
    place.mkdir()
    furnish(place)
    said = folder / "said"
    said.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        os.chdir(place)
        os.setsid()
        with contextlib.suppress(BaseException):
            said.write_text("\n".join(attempt(seed)), errors="backslashreplace")
        os._exit(0)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(STUCK)
    os.waitpid(child, 0)
    signal.alarm(0)
    return said.read_text() if said.exists() else f"finding\nseed {seed}: it did not end within {STUCK} s"


if __name__ == "__main__":
    count, first = (int(word) for word in sys.argv[1:3])
    for home in ("commands", "diagnosing", "measuring", "laboratory"):
        __import__(f"experiments.cli.{home}")  # imported once
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as space:
        for seed in range(first, first + count):
            kind, _, rest = run(seed, Path(space)).partition("\n")
            found[kind] += 1
            if kind == "finding":
                print(rest[-3000:], flush=True)
    print(dict(found))
    sys.exit(bool(found["finding"]))
