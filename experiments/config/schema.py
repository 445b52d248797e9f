"""What is written about configs is read off the code: the JSON Schema and the tables of configs/README.md.

``python -m experiments.config.schema`` writes both anew; a test fails while they are not current.
"""

from __future__ import annotations

import json
import re
from dataclasses import Field
from functools import partial
from pathlib import Path
from typing import Any

from experiments.config.kinds import TABLES, table
from experiments.config.markdown import markdown_table
from experiments.config.vocabulary import Experiment, Run, keys_of
from experiments.config.yaml_strict import read
from mlp.probes.table import ProbeTable
from mlp.registry import Registry, call_text, doc_of, in_words

CONFIGS = Path(__file__).parents[2] / "configs"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MARKED = re.compile(r"<!-- (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def json_schema() -> dict[str, Any]:
    """The schema of a config, so that editors complete its keys and names and mark what is wrong."""
    run = keys_of(Run)
    definitions = {name: field.metadata["kind"].schema() for name, field in run.items()}
    one = {name: _described(field, {"$ref": f"#/$defs/{name}"}) for name, field in run.items()}
    many = {
        name: _described(field, {"type": "array", "items": {"$ref": f"#/$defs/{name}"}, "minItems": 1})
        for name, field in run.items()
    }
    swept = {name: {**schema, "uniqueItems": True} for name, schema in many.items()}
    sections = {"base": one, "sweep": swept, "zip": many}
    top = {}
    for name, field in keys_of(Experiment).items():
        kind = field.metadata["kind"]
        section = {"type": "object", "properties": sections.get(name), "additionalProperties": False}
        top[name] = _described(field, kind.schema() if kind else section)
    return {
        "$schema": DIALECT,
        "title": "An experiment: one question",
        "type": "object",
        "properties": top,
        "required": ["question"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _described(field: Field[Any], schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": f"{field.metadata['meaning']} (default: {_default(field)})", **schema}


def _default(field: Field[Any]) -> str:
    """A field's default as YAML writes it."""
    if field.metadata["shown"]:
        return str(field.metadata["shown"])
    if isinstance(field.default, tuple):
        return f"[{', '.join(field.default)}]"
    return "null" if field.default is None else str(field.default)


# Tables of configs/README.md ------------------------------------------------------------------------------


def _keys_of(owner: type) -> str:
    """Every key that a class has: value, default, meaning."""
    rows = []
    for name, field in keys_of(owner).items():
        kind = field.metadata["kind"] or "keys of a run, see below"
        rows.append((f"`{name}`", str(kind), f"`{_default(field)}`", field.metadata["meaning"]))
    return markdown_table(("key", "value", "default", "meaning"), rows, rule=" --- ")


def _names_of(kind: str) -> str:
    """Every name of a table with its options, their defaults and ranges, and its docstring's summary."""
    names = table(kind)
    rows = []
    for name, function in sorted(names.items()) if kind == "claim" else names.items():
        options = {key: p for key, p in names.options(name).items() if key not in names.shared}
        defaults = {key: "…" if p.default is p.empty else p.default for key, p in options.items()}
        rows.append((f"`{call_text(name, defaults)}`", _ranges(names, name), _meaning(names, name, function)))
    told = [row if any(values for _, values, _ in rows) else (row[0], row[2]) for row in rows]
    head = ("name and options", "values", "meaning")
    return markdown_table(head if len(told[0]) == 3 else (head[0], head[2]), told, rule=" --- ")


def _meaning(names: Registry, name: str, function: Any) -> str:
    """Return the summary of an entry's docstring, its other names and what its decorator says of it."""
    others = [alias for alias, meant in names.aliases.items() if meant == name]
    also = f" Also read: {', '.join(f'`{alias}`' for alias in others)}." if others else ""
    facts = f" {names.facts(name).words}".rstrip() if isinstance(names, ProbeTable) else ""
    return " ".join(doc_of(function).split("\n\n")[0].split()) + also + facts


def _ranges(names: Registry, name: str) -> str:
    """The ranges of an entry's numbers and its choices, in words."""
    options = names.options(name).items()
    words = {key: in_words(p.annotation) for key, p in options if key not in names.shared}
    return "; ".join(f"{key}: {said}" for key, said in words.items() if "number" in said or "one of" in said)


def _questions() -> str:
    """Every config of the folder and what it asks."""
    rows = []
    for path in sorted(CONFIGS.rglob("*.yaml")):
        root, _ = read(path.read_bytes(), str(path))
        name = path.relative_to(CONFIGS).as_posix()
        rows.append((f"[`{name}`]({name})", root.value["question"].value if root else ""))
    return markdown_table(("config", "question"), rows, rule=" --- ")


def up_to_date(readme: str) -> str:
    """The text with each ``<!-- name -->`` … ``<!-- end -->`` block written anew from the code."""
    blocks = {"configs": _questions, "keys": lambda: _keys_of(Experiment), "run": lambda: _keys_of(Run)}
    blocks |= {kind: partial(_names_of, kind) for kind in TABLES}
    return MARKED.sub(lambda at: f"<!-- {at[1]} -->\n\n{blocks[at[1]]()}\n\n<!-- end -->", readme)


def schema_text() -> str:
    """The schema as it is written to configs/schema.json."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write configs/schema.json and the tables of configs/README.md."""
    (CONFIGS / "schema.json").write_text(schema_text(), encoding="utf-8")
    readme = CONFIGS / "README.md"
    readme.write_text(up_to_date(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
