"""Command-line overrides: ``depth=[2,4] lr=0.01 watch=10`` change the tree of a config before it is checked.

A field of a run is replaced wherever it stands: a list goes where the lists are (its place in `zip` or
`sweep`, else a new entry of `sweep`), a single value goes to `base`. ``sweep.lr=[…]`` names the section.
"""

from __future__ import annotations

from experiments.config.tree import Fault, Node, Place, shown
from experiments.config.vocabulary import Experiment, Run, keys_of
from experiments.config.yaml_strict import read_value
from mlp.registry import did_you_mean

SECTIONS = ("base", "sweep", "zip")


def apply_override(root: Node, text: str) -> list[Fault]:
    """Change the config's tree as `text` says; what is wrong with the text itself."""
    name, equals, value = text.partition("=")
    place = Place(f"override {text if text.isprintable() and len(text) < 80 else shown(text)}")
    if not equals:
        return [Fault(place, "", "not of the form key=value")]
    name = name.strip()
    section, _, key = name.rpartition(".")
    known = [*keys_of(Run), *keys_of(Experiment), *(f"{s}.{k}" for s in SECTIONS for k in keys_of(Run))]
    if name not in known:
        elsewhere = f" {key} stands at the top level." if section in SECTIONS and key in known else ""
        hint = elsewhere or did_you_mean(name[:60], known)
        return [Fault(place, "", f"unknown key {shown(name)}.{hint}")]
    node, faults = read_value(value, place)
    if not faults:
        _put(root, section, key, node or Node(None, place))
    return faults


def _put(root: Node, section: str, key: str, node: Node) -> None:
    if key not in keys_of(Run):
        root.value[key], root.keys[key] = node, node.place
        return
    sections = {name: root.value[name] for name in SECTIONS if name in root.value}
    if not all(isinstance(each.value, dict) for each in sections.values()):
        return  # the config itself is at fault there, and will be told so
    target = section or _section_for(key, node, sections)
    for name, each in sections.items():
        if name != target:
            each.value.pop(key, None)
    if target not in sections:
        sections[target] = root.value[target] = Node({}, node.place)
        root.keys[target] = node.place
    sections[target].value[key], sections[target].keys[key] = node, node.place


def _section_for(key: str, node: Node, sections: dict[str, Node]) -> str:
    if not isinstance(node.value, list):
        return "base"
    return "zip" if "zip" in sections and key in sections["zip"].value else "sweep"
