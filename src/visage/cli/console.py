"""What the commands print: always the text itself, never what could drive a terminal."""

from __future__ import annotations

import sys
import unicodedata
from typing import NoReturn

from rich.console import Console
from rich.text import Text

out = Console()
err = Console(stderr=True)


def cell(text: str) -> Text:
    """Text from the bank in a table: no markup is read from it."""
    return Text(plain(text))


def plain(text: str) -> str:
    """Text from the bank, without what could drive a terminal."""
    return "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cf"} or c == "\u200d")


def say(text: str) -> None:
    """Print a line as it is: no markup is read from names."""
    out.print(Text(plain(text)), soft_wrap=True)


def fail(message: str) -> NoReturn:
    """End with one readable line."""
    err.print(Text(plain(message)), soft_wrap=True)
    sys.exit(1)
