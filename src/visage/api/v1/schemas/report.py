"""The report on the bank on the wire."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, Field

from visage import types
from visage.api.v1.schemas.common import VIEWS, Help, PersonName, Time, help_of, name_fields, photo_url
from visage.bank.bank import name_key
from visage.recognition import report as reports
from visage.recognition import sightings


class Thin(PersonName):
    """Someone of whom there are photos of fewer than three views."""

    embedding_count: int
    views: int = Field(description=VIEWS)


class LookAlikes(BaseModel):
    """Two persons who are hard to tell apart; each may be called by the other's name. Or they are the same?"""

    persons: tuple[PersonName, PersonName]
    similarity: float
    same_name: bool


class Misfit(PersonName):
    """A photo that does not look like the others of its person."""

    photo_id: str
    url: str
    similarity: float = Field(description="Cosine to the person's other photos")
    looks_like: PersonName | None = Field(description="Another person whom it looks like")


class HelpFor(PersonName):
    """Who would be recognised more often by another photo."""

    advice: Help


class Seen(PersonName):
    """How often someone was recognised since the server was started, and when last."""

    times: int
    last_seen_at: Time


class Closeness(BaseModel):
    """How alike the people in the bank are. Where they are more alike than most, a stranger is likelier to be taken
    for one of them, and Visage asks for a clearer likeness before it says a name."""

    more_alike: bool = Field(description="They are more alike than most people, and names start further up for it")
    times_as_many: float = Field(description="Pairs of people who look alike, as a multiple of what is usual")
    threshold: float = Field(description="Cosine from which somebody with three photos is named here")
    usual_threshold: float = Field(description="The same in a bank of this size whose people differ as most do")


class BankReport(BaseModel):
    """What to look at in the bank."""

    persons: int
    closeness: Closeness
    thin: list[Thin]
    look_alikes: list[LookAlikes]
    misfits: list[Misfit]
    advice: list[HelpFor]
    seen: list[Seen]


def bank_report(
    report: reports.Report,
    closeness: reports.Closeness,
    advice: Iterable[tuple[types.Person, types.Advice]],
    seen: Iterable[sightings.Seen],
) -> BankReport:
    """As on the wire."""
    return BankReport(
        persons=report.persons,
        closeness=Closeness(
            more_alike=closeness.more_alike,
            times_as_many=round(closeness.times_as_many, 2),
            threshold=round(closeness.threshold, 4),
            usual_threshold=round(closeness.usual_threshold, 4),
        ),
        thin=[
            Thin(**name_fields(item), embedding_count=item.embedding_count, views=item.views) for item in report.thin
        ],
        look_alikes=[
            LookAlikes(
                persons=(PersonName(**name_fields(pair.first)), PersonName(**name_fields(pair.second))),
                similarity=round(pair.similarity, 4),
                same_name=name_key(pair.first.name) == name_key(pair.second.name),
            )
            for pair in report.look_alikes
        ],
        misfits=[
            Misfit(
                **name_fields(item.person),
                photo_id=item.photo.photo_id,
                url=photo_url(item.photo),
                similarity=round(item.similarity, 4),
                looks_like=PersonName(**name_fields(item.looks_like)) if item.looks_like else None,
            )
            for item in report.misfits
        ],
        advice=[HelpFor(**name_fields(person), advice=help_of(words)) for person, words in advice],
        seen=[Seen(**name_fields(item.person), times=item.times, last_seen_at=item.last_seen_at) for item in seen],
    )
