"""What stands at every command's door: one config, words, files that are none, and how all is refused."""

import os
from pathlib import Path

from experiments.cli.entry import main

LONG = "9" * 5000
CONFIG = """\
question: Does it answer?
base: {dataset: 'moons(n=60)', batch: 16, width: 4, depth: 1, steps: 2}
watch: 2
figures: []
"""


ONE_EACH = {  # what each command needs at least
    "run": ["q.yaml"], "diagnose": ["q.yaml"], "reproduce": ["--collection", "."], "plot": ["x"],
    "verify": ["x"], "coverage": [], "bench": ["--quick"],
}  # fmt: skip


def named(value):
    return value if len(str(value)) < 30 else "long"


def files():
    return {path: path.lstat().st_mtime_ns for path in Path().rglob("*")}


def refused(capfd, name, *words):
    """Do a command in this process; return the one line with which it refuses, having written nothing."""
    before = files()
    assert main(name, [str(word) for word in words]) == 2
    out, line = capfd.readouterr()
    assert line.count("\n") == 1, line
    assert line.strip().isprintable()
    assert "--with" not in line or any("--with" in str(word) for word in words)
    assert len(line) < 800, line
    assert not any(word in line for word in ("Traceback", "Errno", "errno")), line
    assert out.count("\n") <= 2, out  # at most the question
    assert files() == before
    return line


def a_folder(path):
    path.mkdir()


def a_pipe(path):
    os.mkfifo(path)


def a_device(path):
    path.symlink_to("/dev/zero")


def a_circle(path):
    path.symlink_to(path.name)


def a_dangling_link(path):
    path.symlink_to("nowhere")


def empty(path):
    path.write_bytes(b"")


def binary(path):
    path.write_bytes(bytes(range(256)))


def utf16(path):
    path.write_text(CONFIG, encoding="utf-16")


def endless(path):
    path.write_text("a: " + LONG * 100)


NO_FILES = [a_folder, a_pipe, a_device, a_circle, a_dangling_link]
NO_CONFIGS = [*NO_FILES, empty, binary, utf16, endless]
