"""Call-texts: what is read, and the one spelling of one thing."""

import pytest
from dishes import DISHES, TABLES, stew
from hypothesis import given
from hypothesis import strategies as st

from mlp.registry import (
    RegistryError,
    call_text,
    fitted,
    parse_call,
)

# -- reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("tanh", "tanh", {}),
        ("tanh()", "tanh", {}),
        (" leaky_relu( slope = .1 ) ", "leaky_relu", {"slope": 0.1}),
        ("f(a=1, b=-2.5, c=1e-3)", "f", {"a": 1, "b": -2.5, "c": 1e-3}),
        ("f(a=true, b=False, c=null, d=None)", "f", {"a": True, "b": False, "c": None, "d": None}),
        ("f(a=word, b='two words', c=\"x\")", "f", {"a": "word", "b": "two words", "c": "x"}),
        ("f(a=[1, two, [3]], b=(4, 5))", "f", {"a": [1, "two", [3]], "b": [4, 5]}),
        ("f(act=leaky_relu( slope=.1 ))", "f", {"act": "leaky_relu(slope=0.1)"}),
        ("f(a=iris.csv, b=data/new-iris.v2.csv)", "f", {"a": "iris.csv", "b": "data/new-iris.v2.csv"}),
    ],
)
def test_a_call_text_is_a_name_and_options(text, name, options):
    assert parse_call(text) == (name, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "'a b' is not of the form name or name(option=value, …)"),
        ("", "'' is not of the form name or name(option=value, …)"),
        ("f(x=1", "'f(x=1' is not of the form name or name(option=value, …)"),
        ("1 + 1", "'1 + 1' is not of the form name or name(option=value, …)"),
        ("a.b(c=1)", "'a.b(c=1)' is not of the form name or name(option=value, …)"),
        ("f(a=1)(b=2)", "'f(a=1)(b=2)' is not of the form name or name(option=value, …)"),
        ("f(\0)", r"'f(\x00)' is not of the form name or name(option=value, …)"),
        ("f(0.1)", "'f(0.1)': options are given by name, as in f(option=value)"),
        ("f(*a)", "'f(*a)': options are given by name, as in f(option=value)"),
        ("f(**a)", "'f(**a)': '**' is not read"),
        ("f(a=1, a=2)", "'f(a=1, a=2)': option 'a' is given twice"),
        ("f(a=b+c)", "'f(a=b+c)': 'b + c' is not a number, text or list"),
        ("f(a=lambda: 0)", "'f(a=lambda: 0)': 'lambda: 0' is not a number, text or list"),
        ("f(a={1: 2})", "'f(a={1: 2})': '{1: 2}' is not a number, text or list"),
        ("f(a=b'x')", "\"f(a=b'x')\": \"b'x'\" is not a number, text or list"),
        ("f(a=2j)", "'f(a=2j)': '2j' is not a number, text or list"),
        ("f(a=1e999)", "'f(a=1e999)': '1e309' is larger than any number"),
        ("f(a=1" + 40 * "0" + ")", "'f(a=1" + 40 * "0" + ")': a number of more than 40 digits"),
        ("f(a=g(1))", "'g(1)': options are given by name, as in g(option=value)"),
        (501 * "x", "a name of 501 characters; at most 500 are read"),
        (
            "f(a=../b.csv)",
            "'f(a=../b.csv)' is not of the form name or name(option=value, …); "
            "a path stands in quotes, as in path='../iris.csv'",
        ),
        ("f(a=1/2)", "'f(a=1/2)': '1 / 2' is not a number, text or list"),
    ],
)
def test_what_is_not_a_call_text_is_told_so(text, message):
    with pytest.raises(RegistryError) as error:
        parse_call(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "text", ["f(a=" + 400 * "[", "(" * 490, "f(a=" + "-" * 490 + "1)", "a" + "(a=a" * 120 + ")" * 120]
)
def test_a_deep_nest_is_an_error_and_no_crash(text):
    with pytest.raises(RegistryError):
        parse_call(text)


def test_nothing_is_evaluated(tmp_path):
    target = tmp_path / "written"
    with pytest.raises(RegistryError):
        DISHES.bind(f"soup(name=open({str(target)!r}, 'w'))")
    with pytest.raises(RegistryError):
        DISHES.bind(f"__import__('pathlib').Path({str(target)!r}).touch()")
    assert not target.exists()


# -- one spelling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("soup()", "soup"),
        ("soup( salt = .5 )", "soup(salt=0.5)"),
        ("soup(salt=1)", "soup"),
        ("soup(salt=3.0)", "soup(salt=3)"),
        ("soup(portions=3, salt=2)", "soup(salt=2, portions=3)"),
        ("soup(salt=-0.0)", "soup(salt=0)"),
        ("soup(salt=1e15)", "soup(salt=1000000000000000.0)"),
        ("soup(salt=1000000000000000)", "soup(salt=1000000000000000.0)"),
        ("stew(times=[1, 2.0])", "stew(times=[1, 2])"),
        ("soup(name='pea')", "soup(name=pea)"),
        ("soup(name='of the day')", "soup(name='of the day')"),
        ("soup(name='true')", "soup(name='true')"),
        ("soup(name='1e5')", "soup(name='1e5')"),
        ("soup(name='lambda')", "soup(name='lambda')"),
        ("soup(name=pea.csv)", "soup(name='pea.csv')"),
        ("soup(name='\N{LATIN SMALL LIGATURE FI}n')", "soup(name='\N{LATIN SMALL LIGATURE FI}n')"),
        ("soup(name=pea( salt=.1 ))", "soup(name=pea(salt=0.1))"),
        ("stew(gain=2.0)", "stew(gain=2)"),
        ("stew(gain=auto)", "stew"),
        ("stew(lid=null)", "stew"),
    ],
)
def test_two_spellings_of_one_thing_are_one(text, spelling):
    assert DISHES.canonical(text) == spelling


def test_a_spelling_that_could_not_be_read_again_is_refused():
    crowded = "stew(times=[" + ",".join(map(str, range(145))) + "])"
    with pytest.raises(RegistryError, match=r"^a name of \d+ characters; at most 500 are read$"):
        DISHES.canonical(crowded)


NAMES = st.sampled_from(["soup", "stew", "bread", "x"])
NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(max_size=8) | st.sampled_from(["auto", "small", "true", "None", "if", "f(a=1)", "[1]", "1.0"])
VALUES = st.recursive(
    NUMBERS | st.booleans() | st.none() | WORDS, lambda inner: st.lists(inner, max_size=3), max_leaves=6
)
OPTIONS = {
    "soup": {"salt": NUMBERS, "portions": st.integers(-9, 9), "hot": st.booleans(), "name": WORDS},
    "stew": {
        "gain": NUMBERS | WORDS,
        "size": st.sampled_from(["small", "large"]),
        "times": st.lists(NUMBERS, min_size=1, max_size=3, unique_by=float),
        "lid": st.none() | NUMBERS,
    },
}


@st.composite
def dishes(draw) -> str:
    name = draw(st.sampled_from(sorted(OPTIONS)))
    return call_text(name, draw(st.fixed_dictionaries({}, optional=OPTIONS[name])))


@given(st.text() | st.text("f(a=1,[] '\"\\\n*.-e9)"))
def test_any_text_is_a_call_or_a_registry_error(text):
    try:
        name, options = parse_call(text)
    except RegistryError:
        return
    assert name.isidentifier()
    assert all(key.isidentifier() for key in options)


@given(NAMES, st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_spelled_is_read_back(name, options):
    assert parse_call(call_text(name, options)) == (name, options)


@given(dishes())
def test_the_one_spelling_is_its_own_and_means_the_same(text):
    spelling = DISHES.canonical(text)
    assert DISHES.canonical(spelling) == spelling
    once, twice = DISHES.bind(text), DISHES.bind(spelling)
    assert once.func is twice.func
    guests = (4,) if once.func is stew else ()
    assert once(*guests) == twice(*guests)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.kind)
def test_every_entry_has_typed_options_and_a_docstring(table):
    for name in table:
        assert table[name].__doc__, f"{table.kind} {name} says nothing"
        for key, option in table.options(name).items():
            assert option.annotation is not option.empty, f"{table.kind} {name}: {key} has no type"
            kept = fitted(option.default, option.annotation)
            assert kept == option.default, f"{table.kind} {name}: the default of {key} is spelled otherwise"
        assert table.canonical(name) == name
