"""Tables read by name: what is registered, what is refused and every message word for word."""

from collections.abc import Callable
from typing import Annotated

import pytest
from dishes import DISHES, TABLES

from mlp.activations import ACTIVATIONS, activation
from mlp.initialisers import INITIALISERS
from mlp.registry import (
    Count,
    Registry,
    RegistryError,
    Share,
    Within,
    did_you_mean,
)

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


def test_a_notebook_shows_a_tables_names():
    table = Registry("colour")

    @table
    def red(): ...

    @table
    def green(): ...

    assert repr(table) == "<colour: red, green>"
