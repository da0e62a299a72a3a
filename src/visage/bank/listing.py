"""Names: how they are compared, how they are found by a part of them, and in which order people are shown."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from visage.errors import InvalidValue
from visage.types import Person

_APOSTROPHES = dict.fromkeys(map(ord, "`´ʹʻʼʽʾʿˈ′‵＇"), "'")
"""What is typed as one, but is a letter or an accent to Unicode."""

_LETTERS = str.maketrans(
    {
        "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h", "ŧ": "t", "ı": "i",
        "ى": "ي", "ی": "ي", "ې": "ي", "ة": "ه", "ک": "ك", "ـ": None,
    }
)  # fmt: skip
"""Letters that a keyboard elsewhere does not have, and that Unicode does not take apart."""

_KEPT_MARKS = frozenset({0, 8, 9})
"""Classes of marks that make another letter and no accent: vowel signs, the voicing marks of kana, viramas; 0 is also
what is no mark."""

_ASCII_MARKS = {place: " " for place in range(128) if unicodedata.category(chr(place))[0] == "P" or place == ord("`")}
_NO_ASCII_MARKS = dict.fromkeys(_ASCII_MARKS)


Order = Literal["newest", "name"]
_Place = tuple[float, str] | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the persons, in order; `total` counts all that the query fits."""

    persons: tuple[Person, ...]
    total: int
    next_cursor: str | None


def name_key(name: str) -> str:
    """How names are compared: compatibility forms, case and surrounding or repeated white space do not matter."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def search_text(person: Person) -> str:
    """What a query is looked for in: name and relationship, folded. To be kept with the person: it takes long."""
    return "\n".join(form for field in (person.name, person.relationship or "") for form in _folded(field))


def page(
    persons: Iterable[tuple[Person, str]],
    *,
    query: str | None,
    limit: int,
    cursor: str | None,
    order: Order = "newest",
) -> Page:
    """A page of the persons, newest first or by name.

    Args:
        persons: everyone, with the `search_text` of each.
        query: words, each a part of the name or relationship, in any order, case and script; accents, apostrophes,
            dots and hyphens may be left out. None or empty for all.
        limit: at most so many.
        cursor: `next_cursor` of the page before.
        order: by name, accents and case do not matter.

    Raises:
        InvalidValue: the cursor is none of ours, or of another order.
    """
    words = _words(query or "")
    place = _newest_first if order == "newest" else _by_name
    fitting = [(place(person, text), person) for person, text in persons if _fits(words, text)]
    found = sorted(fitting, key=lambda entry: entry[0])
    after = _read_cursor(cursor, order) if cursor else None
    rest = found if after is None else [entry for entry in found if entry[0] > after]
    shown = rest[:limit]
    return Page(
        tuple(person for _, person in shown), len(found), _make_cursor(shown[-1][0]) if len(rest) > limit else None
    )


def _words(query: str) -> list[tuple[str, list[str]]]:
    """Each word of a query, its marks left out; and its parts between them."""
    words = [_folded(word) for word in query.split()]
    return [(joined.strip(), spaced.split()) for joined, spaced in words if joined.strip()]


def _fits(words: list[tuple[str, list[str]]], text: str) -> bool:
    return all(joined in text or all(part in text for part in parts) for joined, parts in words)


def _folded(text: str) -> tuple[str, str]:
    """A text without case and accents, twice: its punctuation left out ("obrien"), and a space for it ("o brien")."""
    if text.isascii():
        folded = text.lower()
        return folded.translate(_NO_ASCII_MARKS), folded.translate(_ASCII_MARKS)
    folded = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).casefold().translate(_LETTERS)
    folded = unicodedata.normalize("NFKD", folded)
    kinds = [(char, unicodedata.category(char)) for char in folded if unicodedata.combining(char) in _KEPT_MARKS]
    kinds = [(char, kind) for char, kind in kinds if kind != "Cf"]  # seen by nobody
    joined = "".join(char for char, kind in kinds if kind[0] != "P")
    spaced = "".join(" " if kind[0] == "P" else char for char, kind in kinds)
    return unicodedata.normalize("NFC", joined), unicodedata.normalize("NFC", spaced)


def _newest_first(person: Person, _: str) -> _Place:
    return (-person.created_at.timestamp(), person.person_id)


def _by_name(person: Person, text: str) -> _Place:
    return (text.partition("\n")[0], person.person_id)


def _make_cursor(place: _Place) -> str:
    value, person_id = place
    return base64.urlsafe_b64encode(
        f"{value if isinstance(value, str) else repr(value)} {person_id}".encode()
    ).decode()


def _read_cursor(cursor: str, order: Order) -> _Place:
    try:
        value, person_id = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().rsplit(" ", 1)
        return (float(value) if order == "newest" else value, person_id)  # type: ignore[return-value]
    except (ValueError, binascii.Error) as exc:
        raise InvalidValue.of("cursor", "is not one that this server gave") from exc
