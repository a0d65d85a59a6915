"""The output of commands cannot steer a terminal, whatever came from traffic."""

import io

import pytest
from rich.table import Table
from rich.text import Text

from strangler.cli._terminal import console, plain

HOSTILE = "a\x1b]0;owned\x07b\x1b[2Jc\x9b31md\x7fe\u202ef\rg\x08h"


def printed(renderable: object, **options: bool) -> str:
    sink = io.StringIO()
    console(file=sink, width=200, **options).print(renderable, soft_wrap=True)
    return sink.getvalue()


def in_table() -> Table:
    table = Table(box=None)
    table.add_column("endpoint")
    table.add_row(HOSTILE)
    return table


@pytest.mark.parametrize("renderable", [HOSTILE, Text(HOSTILE), in_table()], ids=["markup", "text", "table"])
def test_no_control_character_of_a_text_reaches_the_terminal(renderable: object) -> None:
    text = printed(renderable)
    assert not {character for character in text if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0} - {"\n"}
    assert "\u202e" not in text
    assert "␛]0;owned" in text


def test_colours_of_our_own_remain() -> None:
    assert "\x1b[1mbold\x1b[0m" in printed("[bold]bold[/]", force_terminal=True)


def test_letters_tabs_and_lines_stay_as_they_are() -> None:
    assert plain("é\t中\n😀") == "é\t中\n😀"
