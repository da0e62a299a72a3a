"""The export: a ZIP of open formats, JSON and JPEG, which anyone can read without Visage.

    visage-export.json               {"format": "visage-export", "version": 1, "created_at": …}
    persons/ID/person.json           the record, and a list of the photos
    persons/ID/PHOTO_ID.jpg          each photo

Nothing of an archive is ever written to the disk by name, and only what `person.json` lists is read, with a bound on
each part: a path that leads elsewhere, a link or a bomb finds nothing to work with, and is refused.
"""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visage.bank.bank import MemoryBank
from visage.bank.records import consent_to_json
from visage.errors import InvalidArchive, PersonNotFound, PhotoNotFound
from visage.types import Person, Photo

FORMAT = "visage-export"
VERSION = 1
MAX_PHOTO_BYTES = 10 * 2**20
_TIMES = ((1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58))
"""What a ZIP can say; the clock of a small computer without a battery may say 1970."""

_INDEX = "visage-export.json"
_MAX_ENTRIES = 200_000
_MAX_JSON_BYTES = 2**20
_READ_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)
"""What zipfile raises for damaged, encrypted or unknown content."""


@dataclass(frozen=True, slots=True)
class ArchivedPerson:
    """A person on the way in.

    Attributes:
        name, relationship, metadata, consent: as the record says; not checked.
        photos: what each is called, and how to read it; reading raises InvalidArchive.
    """

    name: str
    relationship: str | None
    metadata: dict[str, Any]
    consent: dict[str, Any] | None
    photos: tuple[tuple[str, Callable[[], bytes]], ...]


def write_archive(bank: MemoryBank, person_ids: Sequence[str]) -> Iterator[bytes]:
    """The bytes of an archive, piece by piece; at no time more than one photo is in memory. Who or what is forgotten
    meanwhile is left out: a person of whom photos went out already has no `person.json`, and so is in no import.

    Raises:
        PersonNotFound, DamagedPerson: at the first piece; the latter also later, if that happens meanwhile.
    """
    for person_id in person_ids:
        bank.person(person_id)
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        _put(archive, _INDEX, _to_json({"format": FORMAT, "version": VERSION, "created_at": now}))
        for person_id in person_ids:
            with suppress(PersonNotFound):
                folder, photos = f"persons/{bank.person(person_id).person_id}", []
                for photo in bank.photos(person_id):
                    try:
                        picture = bank.picture(person_id, photo.photo_id)
                    except PhotoNotFound:
                        continue
                    _put(archive, f"{folder}/{photo.photo_id}.jpg", picture)
                    photos.append(photo)
                    yield sink.take()
                _put(archive, f"{folder}/person.json", _to_json(_record(bank.person(person_id), photos)))
                yield sink.take()
    yield sink.take()


@contextmanager
def open_archive(path: Path) -> Iterator[list[ArchivedPerson]]:
    """The persons in an archive, whose photos can be read while it is open. All records are checked at once.

    Raises:
        InvalidArchive: it is none, is damaged, or asks for more than it may.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if len(entries) > _MAX_ENTRIES:
                raise InvalidArchive("The archive has more entries than any export")
            for entry in entries.values():
                _check_entry(entry)
            index = _parse(_read(archive, entries, _INDEX, _MAX_JSON_BYTES))
            if index.get("format") != FORMAT:
                raise InvalidArchive
            if index.get("version") != VERSION:
                raise InvalidArchive(
                    "This export was made by a newer version of Visage; install that version or later"
                )
            records = [name for name in entries if name.startswith("persons/") and name.endswith("/person.json")]
            persons = [_person(archive, entries, name) for name in records]
    except _READ_ERRORS as exc:
        raise InvalidArchive from exc
    with zipfile.ZipFile(path) as archive:
        yield [
            replace(person, photos=tuple((name, _entry_reader(archive, entries, name)) for name, _ in person.photos))
            for person in persons
        ]


def read_folders(folder: Path) -> list[ArchivedPerson]:
    """The persons in a folder that holds a folder of photos for each, named by its folder.

    Raises:
        InvalidArchive: there are none.
    """
    persons = []
    for each in sorted(folder.iterdir()):
        photos = (
            [path for path in sorted(each.glob("*")) if path.suffix.lower() in {".jpg", ".jpeg", ".png"}]
            if each.is_dir() and not each.name.startswith(".")
            else []
        )
        if photos:
            reads = tuple((f"{each.name}/{path.name}", _reader(path)) for path in photos)
            persons.append(ArchivedPerson(each.name.replace("_", " ").strip(), None, {}, None, reads))
    if not persons:
        raise InvalidArchive("There is no folder with photos in this folder: one folder a person is expected")
    return persons


class _Sink(io.RawIOBase):
    """Where zipfile writes; what came is taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, min(max(_TIMES[0], datetime.now().astimezone().timetuple()[:6]), _TIMES[1]))
    entry.external_attr = (stat.S_IFREG | 0o600) << 16
    archive.writestr(entry, content)


def _record(person: Person, photos: Sequence[Photo]) -> dict[str, Any]:
    return {
        "person_id": person.person_id,
        "name": person.name,
        "relationship": person.relationship,
        "metadata": dict(person.metadata),
        "consent": None if person.consent is None else consent_to_json(person.consent),
        "created_at": person.created_at.isoformat(),
        "updated_at": person.updated_at.isoformat(),
        "photos": [
            {
                "photo_id": photo.photo_id,
                "file": f"{photo.photo_id}.jpg",
                "created_at": photo.created_at.isoformat(),
                "quality": {"score": photo.quality.score, "issues": [issue.value for issue in photo.quality.issues]},
            }
            for photo in photos
        ],
    }


def _check_entry(entry: zipfile.ZipInfo) -> None:
    """Refuse what no export holds: absolute paths, paths upwards, links, and what is encrypted."""
    parts = entry.filename.split("/")
    if ".." in parts or parts[0] == "" or "\\" in entry.filename or ":" in entry.filename:
        raise InvalidArchive("The archive holds a path that leads out of it; it was not made by Visage")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise InvalidArchive("The archive holds a link; it was not made by Visage")
    if entry.flag_bits & 1:
        raise InvalidArchive("The archive is protected by a password; unpack it and pack it without")


def _person(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str) -> ArchivedPerson:
    record = _parse(_read(archive, entries, name, _MAX_JSON_BYTES))
    folder = name.removesuffix("person.json")
    photos = record.get("photos")
    relationship, metadata, consent = record.get("relationship"), record.get("metadata", {}), record.get("consent")
    sound = (
        isinstance(record.get("name"), str)
        and isinstance(photos, list)
        and isinstance(relationship, str | None)
        and isinstance(metadata, dict)
        and isinstance(consent, dict | None)
        and all(isinstance(photo, dict) and f"{folder}{photo.get('file')}" in entries for photo in photos)
    )
    if not sound:
        raise InvalidArchive(f"The archive is damaged: {name} is no record, or a photo that it lists is missing")
    files = [f"{folder}{photo['file']}" for photo in photos or ()]
    return ArchivedPerson(
        name=record["name"],
        relationship=relationship,
        metadata=metadata,
        consent=consent,
        photos=tuple((file, _entry_reader(archive, entries, file)) for file in files),
    )


def _entry_reader(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str) -> Callable[[], bytes]:
    return lambda: _read(archive, entries, name, MAX_PHOTO_BYTES)


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(MAX_PHOTO_BYTES + 1)  # one more than is allowed is refused by its length
        except OSError as exc:
            raise InvalidArchive(f"cannot be read: {exc.strerror}") from exc

    return read


def _read(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str, limit: int) -> bytes:
    """An entry, whatever its header says of its length: no more than `limit` bytes are ever unpacked."""
    if name not in entries:
        raise InvalidArchive
    try:
        with archive.open(entries[name]) as file:
            content = file.read(limit + 1)
    except _READ_ERRORS as exc:
        raise InvalidArchive(f"The archive is damaged: {name} cannot be read") from exc
    if len(content) > limit:
        raise InvalidArchive(f"{name} in the archive is larger than any export has it")
    return content


def _parse(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise InvalidArchive from exc
    if not isinstance(parsed, dict):
        raise InvalidArchive
    return parsed


def _to_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()
