from __future__ import annotations

import pytest
import typer.main
from rich.text import Text

from edge_sdk.cli import COMMANDS, application


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_shown_as_it_is_written(command: str) -> None:
    """Words in square brackets are markup to the help's renderer, which drops them."""
    described = typer.main.get_command(application()).commands[command]
    texts = [described.help, *(getattr(one, "help", None) for one in described.params)]
    for text in filter(None, texts):
        assert Text.from_markup(text).plain == text
