"""What is written about configs is what the code does: the JSON Schema and configs/README.md."""

import json
import re
from pathlib import Path
from typing import get_args

import jsonschema
import pytest

from experiments.config import ConfigError, from_mapping
from experiments.config.kinds import TABLES, table
from experiments.config.schema import CONFIGS, json_schema, schema_text, up_to_date
from experiments.config.tree import plain
from experiments.config.vocabulary import Experiment, Run, keys_of
from experiments.config.yaml_strict import read

README = (CONFIGS / "README.md").read_text(encoding="utf-8")
FILES = sorted(CONFIGS.rglob("*.yaml"))
REFRESH = "python -m experiments.config.schema"


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def mapping(path: Path):
    root, faults = read(path.read_bytes(), str(path))
    assert faults == []
    return plain(root)


def test_the_schema_is_current():
    assert (CONFIGS / "schema.json").read_text(encoding="utf-8") == schema_text(), f"run {REFRESH}"


def test_the_page_of_keys_is_current():
    assert up_to_date(README) == README, f"run {REFRESH}"


def test_the_page_names_every_key_and_every_name():
    blocks = dict(re.findall(r"<!-- (\w+) -->\n(.*?)<!-- end -->", README, re.DOTALL))
    assert set(blocks) == {"configs", "keys", "run", *TABLES}
    named = {name: set(re.findall(r"^\| `(\w+)", block, re.MULTILINE)) for name, block in blocks.items()}
    assert named["keys"] == set(keys_of(Experiment))
    assert named["run"] == set(keys_of(Run))
    for kind in TABLES:
        assert named[kind] == set(table(kind)), kind


def test_every_name_says_what_it_is():
    for kind in TABLES:
        for name, function in table(kind).items():
            assert function.__doc__, f"{kind} {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_config_is_valid_by_the_schema_and_points_to_it(path, validator):
    assert list(validator.iter_errors(mapping(path))) == []
    first = path.read_text(encoding="utf-8").splitlines()[0]
    pointed = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)[1]
    assert (path.parent / pointed).resolve() == CONFIGS / "schema.json"


BAD = [
    {},
    {"question": ""},
    {"question": "q", "sede": 1},
    {"question": "q", "base": {"depth": -1}},
    {"question": "q", "base": {"depth": 1.5}},
    {"question": "q", "base": {"depth": [1]}},
    {"question": "q", "base": {"lr": "fast"}},
    {"question": "q", "base": {"clip": 0}},
    {"question": "q", "base": {"dtype": "float16"}},
    {"question": "q", "base": {"activation": "rleu"}},
    {"question": "q", "base": {"activation": "rleu(slope=1)"}},
    {"question": "q", "base": {"watch": 3}},
    {"question": "q", "sweep": {"depth": 1}},
    {"question": "q", "sweep": {"depth": []}},
    {"question": "q", "sweep": {"depth": [1, 1]}},
    {"question": "q", "zip": {"depth": []}},
    {"question": "q", "probes": ["x"]},
    {"question": "q", "watch": 1},
    {"question": "q", "watch": "all"},
    {"question": "q", "trace": "x"},
]
GOOD = [
    {"question": "q"},
    {"question": "q", "base": {"clip": None, "lr": 1, "activation": "leaky_relu(slope=0.1)"}},
    {"question": "q", "sweep": {"clip": [None, 1]}, "watch": [0, 5], "probes": [], "claims": []},
    {"question": "q", "zip": {"depth": [1, 1], "width": [1, 2]}},
]


@pytest.mark.parametrize("config", BAD, ids=json.dumps)
def test_what_the_schema_marks_is_an_error_too(config, validator):
    assert not validator.is_valid(config)
    with pytest.raises(ConfigError):
        from_mapping(config)


@pytest.mark.parametrize("config", GOOD, ids=json.dumps)
def test_what_is_read_is_valid_by_the_schema(config, validator):
    from_mapping(config)
    assert validator.is_valid(config)


def test_the_page_explains_every_way_to_scale():
    for scale in get_args(table("dataset").options("digits")["scale"].annotation):
        assert f"`{scale}`" in README
