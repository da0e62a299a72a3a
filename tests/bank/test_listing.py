"""People are found as somebody else types their names, and shown in one order."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visage.bank.listing import page, search_text
from visage.errors import InvalidValue
from visage.types import Person

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def finds(query: str, name: str, relationship: str | None = None) -> bool:
    """Does this query find a person of this name?"""
    person = Person("id", name, relationship, {}, NOW, NOW)
    return page([(person, search_text(person))], query=query, limit=1, cursor=None).total == 1


@pytest.mark.parametrize(
    "query,name",
    [
        ("jose", "José"),
        ("JOSÉ", "jose"),
        ("garcia jose", "José García"),
        ("osé g", "José García"),
        ("obrien", "O'Brien"),
        ("obrien", "O’Brien"),
        ("o'brien", "O´Brien"),
        ("o brien", "O’Brien"),
        ("o’brien", "OBrien"),
        ("jean luc", "Jean-Luc"),
        ("jeanluc", "Jean‑Luc"),
        ("jean-luc", "Jean Luc"),
        ("jr smith", "J.R. Smith"),
        ("j.r.", "JR Smith"),
        ("sorensen", "Sørensen"),
        ("lukasz", "Łukasz"),
        ("strasse", "Straße"),
        ("istanbul", "İSTANBUL"),
        ("ann", "ＡＮＮ"),
        ("hawaii", "Hawaiʻi"),
        ("nguyen thi", "Thị Nguyễn"),
        ("алена", "Алёна"),
        ("παπαδοπουλος", "Παπαδόπουλος"),
        ("ΣΟΦΟΣ", "Σοφός"),
        ("שרה", "שָׂרָה"),
        ("احمد", "أحمد"),
        ("فاطمه", "فاطمة"),
        ("محمد", "مُحَمَّد"),
        ("मोहन", "मोहन"),
        ("김", "김철수"),
        ("山田太郎", "山田・太郎"),
        ("太郎", "山田・太郎"),
    ],
)
def test_a_name_is_found_as_others_type_it(query: str, name: str) -> None:
    assert finds(query, name)


@pytest.mark.parametrize(
    "query,name",
    [("か", "が"), ("हन", "हिन"), ("ann bob", "Ann"), ("brian", "O'Brien"), ("luca", "Luc A")],
)
def test_another_name_is_not_found(query: str, name: str) -> None:
    assert not finds(query, name)


def test_words_may_be_of_name_and_relationship() -> None:
    assert finds("vater jose", "José García", "Vater")
    assert not finds("mutter jose", "José García", "Vater")


@pytest.mark.parametrize("query", ["", "  ", "-", " . "])
def test_a_query_without_a_word_finds_everyone(query: str) -> None:
    assert finds(query, "Ann")


@given(st.text(min_size=1))
def test_everyone_is_found_by_the_own_name(name: str) -> None:
    assert finds(name, name)


def test_by_name_everybody_comes_once_page_by_page_accents_and_case_do_not_matter() -> None:
    names = ["zoe", "Émile", "Anna B", "anna", "Emil", "Anna A", "Æneas", "李"]
    people = [Person(f"id{n}", name, None, {}, NOW, NOW) for n, name in enumerate(names)]
    everyone = [(person, search_text(person)) for person in people]
    shown: list[str] = []
    cursor: str | None = None
    while True:
        part = page(everyone, query=None, limit=3, cursor=cursor, order="name")
        shown += [person.name for person in part.persons]
        cursor = part.next_cursor
        if cursor is None:
            break
    assert shown == ["Æneas", "anna", "Anna A", "Anna B", "Emil", "Émile", "zoe", "李"]
    first = page(everyone, query=None, limit=3, cursor=None, order="name")
    with pytest.raises(InvalidValue):
        page(everyone, query=None, limit=3, cursor=first.next_cursor)
