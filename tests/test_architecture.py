"""The arrows: scripts → experiments → mlp → numpy, and inside each package from a row to the rows below.

Read from the source, so that an import inside a function counts as well, and one for annotations alone too.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MLP = """
train
probes
trace update
dropout tape
backward_exponents forward_exponents true_zeros
network
initialisers losses norms optimisers schedules products
activations
activation_type
quadrature numbers registry
options
calls special streams
"""

# Every room of experiments, from the top; a room is a package or a loose module.
EXPERIMENTS = """
cli
bench
pipeline
report
plots recording
claims diagnosis verification
sweeps
theory
analysis
storage
config
datasets
"""

# Imported where they are used, never on the way to a --help or a config error.
HEAVY = {
    "bokeh", "dask", "distributed", "jinja2", "matplotlib", "pandas", "pooch", "pyarrow", "rich",
    "scipy.integrate", "scipy.stats", "sklearn",
}  # fmt: skip


@cache
def sources(*folders: str) -> dict[str, Path]:
    """{dotted name: file} of every module; a package goes by its own name."""
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files
    }


@cache
def imports(path: Path) -> tuple[tuple[str, str], ...]:
    """(dotted name, when) of all that a file imports: at once with the file, later or for types alone."""

    def walk(node: ast.AST, when: str) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):  # in which no import can stand
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(child, "types")
            elif isinstance(child, ast.Import):
                yield from ((alias.name, when) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: a relative import hides an arrow"
                yield from ((f"{child.module}.{alias.name}", when) for alias in child.names)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                yield from walk(child, "later" if inside and when == "at once" else when)

    return tuple(walk(ast.parse(path.read_text(encoding="utf-8")), "at once"))


def module_of(name: str, known: dict[str, Path]) -> str | None:
    """`mlp.tape.Tape` is of `mlp.tape`; None where no such module is ours."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


@cache
def arrows(*folders: str) -> dict[str, set[str]]:
    known = sources(*folders)
    own = {name: {module_of(target, known) for target, _ in imports(path)} for name, path in known.items()}
    return {name: {target for target in targets if target} - {name} for name, targets in own.items()}


def rows(table: str, package: str) -> dict[str, int]:
    lines = reversed(table.strip().splitlines())
    return {f"{package}.{name}": height for height, line in enumerate(lines) for name in line.split()}


def reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen, waiting = set(), [start]
    while waiting:
        new = edges.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return seen


# -- the rows -------------------------------------------------------------------------------------------


def test_every_module_of_mlp_has_its_row():
    assert {room_of(name) for name in sources("mlp")} - {"mlp"} == set(rows(MLP, "mlp"))


def rising(height: dict[str, int], edges: dict[str, set[str]], package: str) -> list[str]:
    """The arrows of a package's modules that lead to another room and not down."""
    return [
        f"{name} imports {target}"
        for name in sorted(set(sources(package)) - {package})
        for target in sorted({room_of(target) for target in edges[name] if target.startswith(package)})
        if target != room_of(name) and height[target] >= height[room_of(name)]
    ]


def test_mlp_imports_only_from_rows_below():
    assert not rising(rows(MLP, "mlp"), arrows("mlp"), "mlp")


def room_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


def test_every_room_of_experiments_has_its_row():
    rooms = {room_of(name) for name in sources("experiments")} - {"experiments"}
    assert rooms == set(rows(EXPERIMENTS, "experiments"))
    assert len(rooms) <= 18


def test_a_room_imports_only_from_rows_below():
    """Inside a function or for annotations alone, too: a reader follows those arrows as well."""
    assert not rising(rows(EXPERIMENTS, "experiments"), arrows("mlp", "experiments"), "experiments")


def test_no_two_files_share_a_name():
    names = [path.name for path in sources("mlp", "experiments", "scripts").values()]
    twice = {name for name in names if names.count(name) > 1} - {"__init__.py"}
    assert not twice


def test_no_module_reaches_itself():
    edges = arrows("mlp", "experiments")
    assert not [name for name in edges if name in reachable(name, edges)]


def test_packages_point_downwards():
    """No test and no script is imported, and mlp knows nothing of the science done with it."""
    for name, path in sources("mlp", "experiments", "scripts").items():
        first = {target.partition(".")[0] for target, _ in imports(path)} & {
            "mlp",
            "experiments",
            "scripts",
            "tests",
        }
        allowed = {"mlp": {"mlp"}, "experiments": {"mlp", "experiments"}, "scripts": {"experiments"}}
        assert first <= allowed[name.partition(".")[0]], name


# -- the world outside ----------------------------------------------------------------------------------


def test_mlp_needs_numpy_and_scipy_special_alone():
    for name, path in sources("mlp").items():
        outside = {target for target, _ in imports(path) if not target.startswith(("mlp.", "__future__."))}
        third_party = {t for t in outside if t.partition(".")[0] not in sys.stdlib_module_names}
        assert all(t.split(".")[0] == "numpy" or t.startswith("scipy.special") for t in third_party), name
        files = {
            "os",
            "io",
            "pathlib",
            "shutil",
            "json",
            "csv",
            "logging",
            "subprocess",
            "socket",
            "tempfile",
        }
        assert not {t.partition(".")[0] for t in outside} & files, name


def test_mlp_knows_no_file_and_no_experiment():
    for name, path in sources("mlp").items():
        text = path.read_text(encoding="utf-8")
        assert "experiment" not in text.lower(), name
        assert "yaml" not in text.lower(), name
        calls = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        assert not names & {"open", "print", "input", "exec", "eval"}, name


def test_nothing_heavy_is_imported_before_it_is_used():
    files = sources("mlp", "experiments", "scripts")
    at_once = {name: [t for t, when in imports(path) if when == "at once"] for name, path in files.items()}
    heavy = {name: [t for t in found if _is_heavy(t)] for name, found in at_once.items()}
    assert not {name: found for name, found in heavy.items() if found}


def _is_heavy(target: str) -> bool:
    return any(target == library or target.startswith(library + ".") for library in HEAVY)


@pytest.mark.parametrize(
    ("library", "place"),
    [
        ("yaml", "experiments.config.yaml_strict"),
        ("matplotlib", "experiments.plots"),
        ("distributed", "experiments.sweeps.executors"),
    ],
)
def test_a_library_is_known_in_one_place(library, place):
    users = {
        name for name, path in sources("mlp", "experiments", "scripts").items()
        if library in {target.partition(".")[0] for target, when in imports(path) if when != "types"}
    }  # fmt: skip
    assert users
    users -= {"experiments.bench.answer_task"}  # a program such as users of other libraries write
    assert all(name == place or name.startswith(place + ".") for name in users), users


def test_pyplot_and_its_global_state_are_used_nowhere():
    for name, path in sources("mlp", "experiments", "scripts", "tests").items():
        if "pyplot" in path.read_text(encoding="utf-8"):
            assert not any("pyplot" in target for target, _ in imports(path)), name


def test_the_readme_names_every_module_of_the_tree():
    """A package by its folder; what is inside is said by its own docstring."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = text[text.index("```\nmlp/") :]
    for package in ("mlp", "experiments"):
        for path in (ROOT / package).iterdir():
            if path.name.startswith("__"):
                continue
            assert f" {path.name}{'/' if path.is_dir() else ''} " in tree, path.name
