"""Markdown tables: a row for each row, and no text ends its cell."""

from experiments.config.markdown import ENTITY, markdown_table


def test_a_table_has_its_names_a_rule_and_its_rows():
    lines = markdown_table(("", "b"), [("1", "2"), ("", "4")]).split("\n")
    assert lines == ["| | b |", "|---|---|", "| 1 | 2 |", "|  | 4 |"]


def test_a_bar_inside_a_cell_does_not_end_it():
    assert markdown_table(("a",), [("|z|",)]).endswith("| \\|z\\| |")
    assert markdown_table(("a",), [("|z|",)], bar=ENTITY).endswith("| &#124;z&#124; |")
