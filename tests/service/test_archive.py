"""The export, where the clock is wrong."""

from __future__ import annotations

import zipfile
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from tests.bank.test_bank import DIMENSION, MODEL, photo
from visage.bank.bank import MemoryBank
from visage.service import archive
from visage.service.archive import open_archive, write_archive
from visage.storage.sqlite import open_store


@pytest.mark.parametrize("year", [1970, 2150])
def test_an_export_is_made_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls(year, 1, 1, tzinfo=tz)

    bank = MemoryBank(open_store(tmp_path / "data"), model=MODEL, dimension=DIMENSION)
    person = bank.enrol(name="Anna", relationship=None, metadata={}, photos=[photo(1)])
    monkeypatch.setattr(archive, "datetime", Clock)
    path = tmp_path / "export.zip"
    path.write_bytes(b"".join(write_archive(bank, [person.person_id])))
    bank.close()
    assert zipfile.ZipFile(path).testzip() is None
    with open_archive(path) as persons:
        assert [each.name for each in persons] == ["Anna"]
