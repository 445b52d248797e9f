"""The strict YAML reader: what PyYAML reads otherwise, what is refused, and that nothing is expensive."""

import math
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.config import yaml_strict
from experiments.config.tree import Place, plain
from experiments.config.yaml_strict import LARGEST, read, read_value


def value_of(text: str):
    root, faults = read(f"key: {text}".encode(), "x.yaml")
    assert faults == []
    return plain(root)["key"]


def faults_of(data: str | bytes) -> list[str]:
    return [str(fault) for fault in read(data if isinstance(data, bytes) else data.encode(), "x.yaml")[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),  # PyYAML: a text
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("010", 10),  # PyYAML: 8
        ("+12", 12),
        ("0o10", 8),
        ("0x1F", 31),
        ("on", "on"),  # PyYAML: true
        ("no", "no"),  # PyYAML: false
        ("1:30", "1:30"),  # PyYAML: 90
        ("1_000", "1_000"),  # PyYAML: 1000
        ("0b11", "0b11"),  # PyYAML: 3
        ("2024-01-01", "2024-01-01"),  # PyYAML: a date
        ("=", "="),  # PyYAML: an error
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("none", "none"),
        ("'3'", "3"),
        ('"true"', "true"),
        ("leaky_relu(slope=0.1)", "leaky_relu(slope=0.1)"),
        ("[a, 1, [2.5, null]]", ["a", 1, [2.5, None]]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)
def test_scalars_are_read_as_yaml_1_2_says(text, value):
    read_as = value_of(text)
    assert read_as == value
    assert type(read_as) is type(value)


@pytest.mark.parametrize(("text", "sign"), [(".inf", 1), ("+.Inf", 1), ("-.INF", -1)])
def test_infinities(text, sign):
    assert value_of(text) == sign * math.inf


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number(text):
    assert math.isnan(value_of(text))


@given(st.floats(allow_nan=False) | st.integers(-(10**30), 10**30))
def test_every_number_that_python_writes_is_read_back(number):
    assert value_of(repr(number).replace("inf", ".inf")) == number


def test_every_value_knows_its_line_and_column():
    root, _ = read(b"a: 1\nb:\n  - x\n  - {c: d}\n", "x.yaml")
    assert root.keys["b"] == Place("x.yaml", 2, 1)
    inner = root.value["b"].value[1]
    assert inner.place == Place("x.yaml", 4, 5)
    assert inner.keys["c"] == Place("x.yaml", 4, 6)
    assert inner.value["c"].place == Place("x.yaml", 4, 9)


def test_columns_count_characters_and_not_bytes():
    root, _ = read("é: ü\nβ: {γ: δ}".encode(), "x.yaml")
    assert root.value["β"].value["γ"].place == Place("x.yaml", 2, 8)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# only a comment\n", b"---\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_no_fault_of_the_reader(data):
    root, faults = read(data, "x.yaml")
    assert faults == []
    assert root is None or root.value is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml:3:1: a: given twice; first on line 1"),
        ("s: {a: 1, 'a': 2}", "x.yaml:1:11: s.a: given twice; first on line 1"),
        ("a: &x 1", "x.yaml:1:4: a: the anchor '&x'; anchors are not read"),
        ("a: *x", "x.yaml:1:4: a: the alias '*x'; aliases are not read: write the value out"),
        ("a: !!map:x y", "x.yaml:1:4: a: the tag 'tag:yaml.org,2002:map:x'; tags are not read"),
        ("a: [1, !!int 2]", "x.yaml:1:8: a[1]: the tag 'tag:yaml.org,2002:int'; tags are not read"),
        ("? [a]\n: 1", "x.yaml:1:3: a key must be a plain text"),
        ("{a: 1}: 2", "x.yaml:1:1: a key must be a plain text"),
        ("a: 1\n---\nb: 2", "x.yaml:2:1: a second document; a config is one"),
        ("a:\n\tb: 1", "x.yaml:2:1: a tab; YAML is indented by spaces"),
        (b"a: \xe9", "x.yaml:1:4: the byte 0xe9 is not UTF-8 text; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "x.yaml: a binary file, not YAML text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "x.yaml: a binary file, not YAML text"),
        (b"ab\nc: \x1b[31m", "x.yaml:2:4: the control character '\\x1b' cannot be part of YAML text"),
        ("a: " + "9" * 5000, "x.yaml:1:4: a: a number of 5000 characters; at most 40 are read"),
        ("a" * (LARGEST + 1), "x.yaml: more than 200,000 bytes; a config is a page of text"),
        ("[" * 20 + "]" * 20, "x.yaml:1:12: [0][0][0][0][0][0][0][0][0][0][0]: nested more than 10 deep"),
    ],
)  # fmt: skip
def test_what_is_refused_and_how(data, message):
    assert faults_of(data)[0] == message


@pytest.mark.parametrize(
    "data", ["a: [1", "a: b: c", "a: 'x", "a: @x", "key: |\n  a\n b", '"\\q"', "%YAML 9.9\n--- a"]
)
def test_broken_yaml_is_one_fault_with_its_place(data):
    (message,) = faults_of(data)
    assert message.startswith("x.yaml:")
    assert ": not YAML: " in message


def test_all_faults_are_found_in_one_reading():
    assert len(faults_of("a: &x 1\na: *x\nb: !t 2\n")) == 4  # anchor, key given twice, alias, tag


def test_an_alias_bomb_is_not_expanded():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    began = time.perf_counter()
    assert "anchors are not read" in faults_of("\n".join(lines))[0]
    assert time.perf_counter() - began < 1  # expanded it would be 9¹⁰ values


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(
    "hostile", ["[", "{", "- ", "? ", "a: ", "'x\n", "!", "&a ", "- 1\n", "#", "|\n ", '"\\', "a: [x, "]
)
def test_no_text_takes_long(monkeypatch, loader, hostile):
    monkeypatch.setattr(yaml_strict, "_LOADER", getattr(yaml, loader))
    size = LARGEST if loader == "CSafeLoader" else LARGEST // 4
    data = (hostile * (size // len(hostile))).encode()
    began = time.process_time()
    read(data, "x.yaml")
    assert time.process_time() - began < 3  # 0.5 s; what is quadratic takes a sixteenth of minutes


def test_a_value_of_the_command_line_has_one_place():
    root, faults = read_value("[1, {a: 2}, 1e-3]", Place("override"))
    assert plain(root) == [1, {"a": 2}, 0.001]
    assert {item.place for item in root.value} == {Place("override")}
    assert faults == []


@pytest.mark.parametrize("text", ["a\0b", "\x1b[0m", "\udc80", "x" * (LARGEST + 1)])
def test_a_value_that_is_no_text_is_refused(text):
    root, (fault,) = read_value(text, Place("override"))
    assert root is None
    assert str(fault).isprintable()


BASE_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # every scalar a text; the same parser as ours


def shape(value):
    """Lists and mappings without their scalars."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else None


@settings(max_examples=50)
@given(st.binary(max_size=60) | st.text("ab:-[]{}&*!|>'\"%#,? \n\t01.~e", max_size=60).map(str.encode))
def test_any_bytes_give_printable_faults_or_the_tree_that_pyyaml_reads(data):
    root, faults = read(data, "x.yaml")
    assert all(str(fault).isprintable() for fault in faults)
    if not faults:
        assert shape(plain(root) if root else None) == shape(yaml.load(data, BASE_LOADER))
