"""Tables read by name or call-text: one spelling of one thing, and every message word for word."""

from collections.abc import Callable
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlp.activations import ACTIVATIONS, activation
from mlp.initialisers import BIASES, INITIALISERS
from mlp.losses import LOSSES
from mlp.norms import NORMS
from mlp.optimisers import OPTIMISERS
from mlp.probes import PROBES, UNIT_PROBES
from mlp.registry import (
    Count,
    Registry,
    RegistryError,
    Share,
    Within,
    call_text,
    did_you_mean,
    fitted,
    parse_call,
)
from mlp.schedules import SCHEDULES

TABLES = [ACTIVATIONS, INITIALISERS, BIASES, LOSSES, NORMS, OPTIMISERS, PROBES, UNIT_PROBES, SCHEDULES]

DISHES = Registry("dish")


@DISHES
def soup(salt: float = 1, portions: int = 2, hot: bool = True, name: str = "leek") -> tuple:
    return ("soup", salt, portions, hot, name)


@DISHES
def stew(guests: int, gain: float | str = "auto", size: Literal["small", "large"] = "small",
         times: list[float] = [1], *, lid: float | None = None) -> tuple:  # noqa: B006  # fmt: skip
    return ("stew", guests, gain, size, times, lid)


@DISHES
def bread() -> tuple:
    return ("bread",)


MENUS = Registry("menu", aliases={"dinner": "supper"})


@MENUS
def supper(
    main: Annotated[str, DISHES] = "soup",
    sides: list[Annotated[str, DISHES]] = ["bread"],  # noqa: B006
    after: Annotated[str, DISHES] | None = None,
    tip: Share = 0.1,
    price: Annotated[float, Within(0, 100, above=True)] = 8,
    guests: Count = 4,
    chance: Annotated[float, Within(0, 1, below=True)] = 0.5,
) -> tuple:
    """Dishes that other tables have, and numbers with a range."""
    return (main, sides, after, tip, price, guests, chance)


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


# -- the table ------------------------------------------------------------------------------------------


def test_a_function_registers_under_its_own_name_and_stays_itself():
    table = Registry("thing")

    def chair(legs: int = 4) -> int:
        return legs

    assert table(chair) is chair
    assert table["chair"] is chair
    assert table.bind("chair(legs=3)")() == 3


def test_a_part_registered_again_is_replaced_and_nothing_that_was_computed_with_it_is_kept():
    def factor(value: int) -> Callable[[], int]:
        def made_up() -> int:
            return value

        return made_up

    try:
        ACTIVATIONS(factor(2))
        assert activation("made_up") == 2
        ACTIVATIONS(factor(3))
        assert activation("made_up") == 3
    finally:
        del ACTIVATIONS["made_up"]


def test_a_part_of_this_project_is_not_replaced_by_another():
    def relu() -> float:
        return 2.0

    with pytest.raises(RegistryError, match=r"^activation 'relu' is this project's own; give yours another"):
        ACTIVATIONS(relu)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("soop", "unknown dish 'soop'. Did you mean 'soup'? Known: bread, soup, stew"),
        ("zzz", "unknown dish 'zzz'. Known: bread, soup, stew"),
        (
            "soup(slat=2)",
            "dish 'soup' has no option 'slat'; it takes salt=1 (a number); portions=2 (a whole number); "
            "hot=True (true or false); name=leek (a text). Did you mean 'salt'?",
        ),
        ("bread(salt=1)", "dish 'bread' has no option 'salt'; it takes no options."),
        ("stew(guests=4)", "dish 'stew' has no option 'guests'; it takes gain=auto (a number or a text); "
         "size=small (one of small, large); times=[1] (a list, each item a number); lid=None (a number or "
         "null)."),
        ("soup(salt=much)", "dish 'soup': option salt is 'much', which is not a number"),
        ("soup(salt=true)", "dish 'soup': option salt is True, which is not a number"),
        ("soup(portions=1.5)", "dish 'soup': option portions is 1.5, which is not a whole number"),
        ("soup(hot=1)", "dish 'soup': option hot is 1, which is not true or false"),
        ("soup(name=3)", "dish 'soup': option name is 3, which is not a text"),
        ("stew(size=huge)", "dish 'stew': option size is 'huge', which is not one of small, large"),
        ("stew(size=lrge)",
         "dish 'stew': option size is 'lrge', which is not one of small, large. Did you mean 'large'?"),
        ("stew(times=3)", "dish 'stew': option times is 3, which is not a list, each item a number"),
        ("stew(times=[a])", "dish 'stew': option times is ['a']: 'a', which is not a number"),
        ("stew(times=[])",
         "dish 'stew': option times is [], an empty list: it needs one item or more, or is left out"),
        ("stew(times=[1, 2, 1.0])", "dish 'stew': option times is [1, 2, 1.0]: 1 is listed twice"),
        ("stew(lid=open)", "dish 'stew': option lid is 'open', which is not a number or null"),
        ("stew(gain=true)", "dish 'stew': option gain is True, which is not a number or a text"),
    ],
)  # fmt: skip
def test_every_message_is_exact(text, message):
    for read in (DISHES.bind, DISHES.canonical):
        with pytest.raises(RegistryError) as error:
            read(text)
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("tip=-0.1", "tip is -0.1, which is not a number from 0 to 1"),
        ("tip=5", "tip is 5, which is not a number from 0 to 1. Did you mean 0.05?"),
        ("tip=500", "tip is 500, which is not a number from 0 to 1"),
        ("tip=nan", "tip is 'nan', which is not a number from 0 to 1"),
        ("price=0", "price is 0, which is not a number above 0 and up to 100"),
        ("price=100.5", "price is 100.5, which is not a number above 0 and up to 100"),
        ("guests=0", "guests is 0, which is not a whole number from 1 to 1000000000"),
        ("guests=1e3",
         "guests is 1000.0, which is not a whole number from 1 to 1000000000. Did you mean 1000?"),
        ("chance=1", "chance is 1, which is not a number from 0 to below 1"),
        ("main=3", "main is 3, which is not the name of a dish"),
        ("main=soop",
         "main is 'soop': unknown dish 'soop'. Did you mean 'soup'? Known: bread, soup, stew"),
        ("main=bread(salt=1)",
         "main is 'bread(salt=1)': dish 'bread' has no option 'salt'; it takes no options."),
        ("sides=[bread, bred]",
         "sides is ['bread', 'bred']: unknown dish 'bred'. Did you mean 'bread'? Known: bread, soup, stew"),
        ("sides=[soup, soup(salt=1.0)]", "sides is ['soup', 'soup(salt=1)']: soup is listed twice"),
        ("sides=bread", "sides is 'bread', which is not a list, each item the name of a dish"),
        ("after=soop",
         "after is 'soop': unknown dish 'soop'. Did you mean 'soup'? Known: bread, soup, stew"),
        ("after=1", "after is 1, which is not the name of a dish or null"),
    ],
)  # fmt: skip
def test_a_range_and_a_name_of_another_table_are_checked(options, message):
    for name in ("supper", "dinner"):
        for read in (MENUS.bind, MENUS.canonical):
            with pytest.raises(RegistryError) as error:
                read(f"{name}({options})")
            assert str(error.value) == f"menu 'supper': option {message}"


@pytest.mark.parametrize(
    ("range_", "words", "inside", "outside"),
    [
        (Within(0, 1), "from 0 to 1", (0, 1), (-1e-9, 1 + 1e-9, float("nan"))),
        (Within(0, 1, above=True), "above 0 and up to 1", (1e-300, 1), (0, 2)),
        (Within(0, 1, below=True), "from 0 to below 1", (0, 1 - 1e-16), (1, -1)),
        (Within(0, 1, above=True, below=True), "above 0 and below 1", (0.5,), (0, 1)),
        (Within(1, 10_000), "from 1 to 10000", (1, 10_000), (0, 10_001)),
        (Within(0.5), "of at least 0.5", (0.5, 1e300), (0.4, float("nan"))),
        (Within(0, above=True), "above 0", (1e-300,), (0,)),
    ],
)
def test_a_range_holds_what_it_says(range_, words, inside, outside):
    assert str(range_) == words
    assert all(value in range_ for value in inside)
    assert not any(value in range_ for value in outside)


def test_a_text_of_another_table_is_spelled_as_that_table_spells_it():
    text = "dinner(main=soup( salt=1.0 ), sides=[stew( gain=2 ), soup(portions=2)], after=bread())"
    assert MENUS.canonical(text) == "supper(sides=[stew(gain=2), soup], after=bread)"
    assert MENUS.bind(text)()[:3] == ("soup", ["stew(gain=2)", "soup"], "bread")


def test_an_alias_is_read_as_the_entry_that_it_stands_for():
    assert MENUS.canonical("dinner") == MENUS.canonical("supper()") == "supper"
    assert MENUS.bind("dinner").func is supper
    with pytest.raises(RegistryError, match="Did you mean 'dinner'"):
        MENUS.bind("diner")

    def dinner() -> None:
        """Would stand where the alias points elsewhere."""

    with pytest.raises(RegistryError, match=r"^menu 'dinner' is another name for supper$"):
        MENUS(dinner)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.kind)
def test_every_alias_stands_for_an_entry_and_takes_no_entrys_name(table):
    assert set(table.aliases.values()) <= set(table)
    assert not set(table.aliases) & set(table)


@pytest.mark.parametrize(
    ("table", "alias", "name"),
    [
        (ACTIVATIONS, "swish(beta=2)", "silu(beta=2)"),
        (INITIALISERS, "glorot_uniform", "xavier_uniform"),
        (INITIALISERS, "kaiming_normal", "he_normal"),
    ],
)
def test_the_names_that_others_use_are_known(table, alias, name):
    assert table.canonical(alias) == name


def test_a_hint_comes_only_where_something_is_near():
    assert did_you_mean("widht", ["depth", "width"]) == " Did you mean 'width'?"
    assert did_you_mean("colour", ["depth", "width"]) == ""


def test_a_registry_error_is_a_value_error():
    assert issubclass(RegistryError, ValueError)


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


def test_a_notebook_shows_a_tables_names():
    table = Registry("colour")

    @table
    def red(): ...

    @table
    def green(): ...

    assert repr(table) == "<colour: red, green>"
