"""The newest frame of a connection, and the strangers that are remembered for a while."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from visage.errors import UnknownNotFound
from visage.recognition.stream import Frame, NewestFrame
from visage.recognition.unknowns import Unknowns
from visage.types import NewPhoto, Quality


def test_the_newest_frame_wins_and_the_others_are_counted() -> None:
    async def scenario() -> None:
        newest = NewestFrame()
        for number in range(5):
            newest.put(Frame(b"", number))
        frame, dropped = await newest.take()
        assert (frame.frame_id, dropped) == (4, 4)
        newest.put(Frame(b"", 5))
        frame, dropped = await newest.take()
        assert (frame.frame_id, dropped) == (5, 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(newest.take(), 0.01)

    asyncio.run(scenario())


def photo(score: int, axis: int = 0) -> NewPhoto:
    """A picture of that quality, of somebody."""
    return NewPhoto(np.eye(192, dtype=np.float32)[axis], b"", Quality(score))


class Clock:
    """Goes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_best_picture_of_a_stranger_is_kept() -> None:
    unknowns = Unknowns()
    for score in (40, 90, 60):
        unknowns.seen("a", score, lambda score=score: photo(score))  # type: ignore[misc]
    assert [entry.photo.quality.score for entry in unknowns.all()] == [90]


def test_strangers_are_bounded_in_number_and_time() -> None:
    clock = Clock()
    unknowns = Unknowns(clock)
    for number in range(80):
        unknowns.seen(str(number), 50, lambda: photo(50))
    assert [entry.unknown_id for entry in unknowns.all()] == [str(number) for number in range(79, 29, -1)]
    clock.now = 601
    assert unknowns.all() == []


def test_a_stranger_who_comes_back_is_one_entry_with_the_best_picture() -> None:
    clock = Clock()
    unknowns = Unknowns(clock)
    for name, score, axis in (("a", 90, 0), ("b", 50, 1)):
        unknowns.seen(name, score, lambda score=score, axis=axis: photo(score, axis))  # type: ignore[misc]
    first = unknowns.get("a").first_seen_at
    unknowns.seen("a2", 60, lambda: photo(60))
    assert {entry.unknown_id for entry in unknowns.all()} == {"a", "b", "a2"}, "both may be before a camera"
    clock.now = 6
    unknowns.seen("a3", 40, lambda: photo(40))
    assert [entry.unknown_id for entry in unknowns.all()] == ["a3", "b"]
    assert (unknowns.get("a3").first_seen_at, unknowns.get("a3").photo.quality.score) == (first, 90)


def test_a_dismissed_stranger_stays_away() -> None:
    unknowns = Unknowns()
    unknowns.seen("a", 50, lambda: photo(50))
    unknowns.dismiss("A")
    unknowns.seen("a", 90, lambda: photo(90))
    assert unknowns.all() == []
    with pytest.raises(UnknownNotFound):
        unknowns.dismiss("a")


def test_two_tracks_of_one_face_are_one_entry_with_the_best_picture() -> None:
    unknowns = Unknowns()
    for name, score, axis in (("a", 40, 0), ("b", 70, 1), ("c", 50, 2), ("a2", 90, 3)):
        unknowns.seen(name, score, lambda score=score, axis=axis: photo(score, axis))  # type: ignore[misc]
    first = unknowns.get("a").first_seen_at
    unknowns.join("a", "a2")
    unknowns.join("b", "gone")
    unknowns.join("c2", "c")
    assert {entry.unknown_id: entry.photo.quality.score for entry in unknowns.all()} == {"a": 90, "b": 70, "c2": 50}
    assert unknowns.get("a").first_seen_at == first
    assert "a2" not in unknowns


@pytest.mark.parametrize("dismissed", ["a", "a2"])
def test_who_was_dismissed_as_another_track_stays_away(dismissed: str) -> None:
    unknowns = Unknowns()
    for name in ("a", "a2"):
        unknowns.seen(name, 50, lambda: photo(50))
    unknowns.dismiss(dismissed)
    unknowns.join("a", "a2")
    unknowns.seen("a", 90, lambda: photo(90))
    assert unknowns.all() == []


def test_every_entry_of_a_face_goes_when_it_is_known() -> None:
    unknowns = Unknowns()
    for name, axis in {"a": 0, "b": 1, "c": 0}.items():
        unknowns.seen(name, 50, lambda axis=axis: photo(50, axis))  # type: ignore[misc]
    unknowns.forget_like(photo(50).embedding, 0.5)
    assert [entry.unknown_id for entry in unknowns.all()] == ["b"]
