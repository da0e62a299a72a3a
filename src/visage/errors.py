"""Every exception that Visage raises on purpose, in one tree.

    VisageError
    ├── InputError                what the caller sent cannot be used
    │   ├── InvalidImage          INVALID_IMAGE
    │   ├── ImageTooLarge         IMAGE_TOO_LARGE
    │   ├── NoFaceDetected        NO_FACE_DETECTED
    │   ├── MultipleFaces         MULTIPLE_FACES
    │   ├── FaceNotUsable         FACE_NOT_USABLE
    │   ├── TooMuchWork           TOO_MUCH_WORK
    │   ├── InvalidBackup         INVALID_BACKUP
    │   ├── InvalidArchive        INVALID_ARCHIVE
    │   └── InvalidValue          VALIDATION_ERROR
    ├── Missing                   NOT_FOUND
    │   ├── PersonNotFound        PERSON_NOT_FOUND
    │   ├── PhotoNotFound         PHOTO_NOT_FOUND
    │   ├── SightingNotFound      NOT_FOUND
    │   ├── UnknownNotFound       NOT_FOUND
    │   ├── UndoNotFound          NOT_FOUND
    │   └── KeyNotFound           NOT_FOUND
    ├── Conflict
    │   ├── DuplicatePerson       DUPLICATE_PERSON
    │   ├── LastPhoto             LAST_PHOTO
    │   └── CannotUndo            CANNOT_UNDO
    ├── InvalidRequest            INVALID_REQUEST
    ├── AccessError               who asks, and from where
    │   ├── HostNotAllowed        HOST_NOT_ALLOWED
    │   ├── Unauthenticated       UNAUTHENTICATED
    │   ├── Forbidden             FORBIDDEN
    │   └── TooManyGuesses        RATE_LIMITED
    ├── NotReady                  NOT_READY
    │   └── Stopping              NOT_READY
    ├── Overloaded                RATE_LIMITED
    ├── NotAccounted              NOT_ACCOUNTED
    └── InstallationError         INSTALLATION_ERROR
        ├── WeightsError          WEIGHTS_ERROR
        ├── UnknownModel          UNKNOWN_MODEL
        ├── NoCalibration         NO_CALIBRATION
        └── BankError             BANK_ERROR
            └── DamagedPerson     BANK_ERROR

Each class carries its stable `code`, which clients see; `status` belongs to HTTP and lives in `api/errors.py`.
A message is a sentence for a person: no paths of the server, no SQL, no stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self


class VisageError(Exception):
    """The root. `details` is JSON that helps a program, as `message` helps a person."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    default_message: ClassVar[str] = "Something went wrong on the server"

    def __init__(self, message: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        self.message = message or self.default_message
        self.details = dict(details) if details else None
        super().__init__(self.message)

    def alone(self) -> Self:
        """The error without where it was raised and what led to it: an error that is kept, as an answer, would keep
        alive what the frames of its traceback hold, such as the pixels of a picture."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


class InputError(VisageError):
    """What the caller sent cannot be used."""


class InvalidImage(InputError):
    """The bytes are not a decodable JPEG or PNG."""

    code = "INVALID_IMAGE"
    default_message = "Invalid image format. Supported: JPEG, PNG"


class ImageTooLarge(InputError):
    """More bytes or pixels than allowed; raised before decoding."""

    code = "IMAGE_TOO_LARGE"
    default_message = "The image is larger than this server allows"


class NoFaceDetected(InputError):
    """A photo to register shows no face."""

    code = "NO_FACE_DETECTED"
    default_message = "No face detected in the provided image"


class MultipleFaces(InputError):
    """A photo to register shows several faces and none clearly dominates."""

    code = "MULTIPLE_FACES"
    default_message = "Several faces in the image and none clearly stands out; crop it to one person"


class FaceNotUsable(InputError):
    """The face in a photo to register is too poor to be remembered."""

    code = "FACE_NOT_USABLE"
    default_message = "The face in the image is too poor to be remembered"


class TooMuchWork(InputError):
    """A picture took longer than the server allows; `details.max_seconds` says how long that is."""

    code = "TOO_MUCH_WORK"
    default_message = "This picture is too much work for this server; send a smaller one"

    @classmethod
    def after(cls, max_s: float) -> TooMuchWork:
        """So many seconds were allowed."""
        return cls(
            f"This picture took longer than the {max_s:g} seconds that this server gives one (VISAGE_MAX_WORK_S); "
            "send a smaller one",
            {"max_seconds": max_s, "setting": "VISAGE_MAX_WORK_S"},
        )


class InvalidBackup(InputError):
    """A file that is no backup, is damaged, or does not open; nothing was changed.

    Where only the key is not here, `details.needs` says what opens it: `passphrase`, `key_file`, `recovery_key`; or
    `server_passphrase`, one that this server must be started with.
    """

    code = "INVALID_BACKUP"
    default_message = "This is no backup of Visage, or it is damaged"


class InvalidArchive(InputError):
    """A file to import that is no export, or that asks for more than it may."""

    code = "INVALID_ARCHIVE"
    default_message = "This is no export of Visage, or it is damaged"


class InvalidValue(InputError):
    """A field has a value that is not allowed; `details.fields` names it."""

    code = "VALIDATION_ERROR"
    default_message = "The request has missing or invalid fields"

    @classmethod
    def of(cls, field: str, reason: str) -> InvalidValue:
        """One field, one reason."""
        return cls(f"{field}: {reason}", {"fields": [{"field": field, "message": reason}]})


class Missing(VisageError):
    """What was asked for is not there."""

    code = "NOT_FOUND"
    default_message = "Not found"


class PersonNotFound(Missing):
    """No person with that id."""

    code = "PERSON_NOT_FOUND"
    default_message = "No person with this id"


class PhotoNotFound(Missing):
    """That person has no photo with that id."""

    code = "PHOTO_NOT_FOUND"
    default_message = "This person has no photo with this id"


class SightingNotFound(Missing):
    """An identification that is forgotten already, or in which that person did not come up."""

    default_message = "That identification is too long ago, or that person did not come up in it. Send the image"


class UnknownNotFound(Missing):
    """An unknown face that is forgotten already."""

    default_message = "That face is forgotten already; unknown faces are kept for ten minutes"


class UndoNotFound(Missing):
    """A correction that cannot be taken back."""

    default_message = "There is nothing to undo under this id; corrections can be undone for 30 days"


class KeyNotFound(Missing):
    """No API key with that id."""

    default_message = "No API key with this id"


class Conflict(VisageError):
    """The request is sound, the state of the bank forbids it."""

    code = "CONFLICT"
    default_message = "The bank's state does not allow this"


class DuplicatePerson(Conflict):
    """A known face under another name, and the policy is to refuse that."""

    code = "DUPLICATE_PERSON"
    default_message = "This face is already registered under another name"


class LastPhoto(Conflict):
    """A person without a photo could never be recognised."""

    code = "LAST_PHOTO"
    default_message = "The last photo of a person cannot be removed; delete the person instead"


class CannotUndo(Conflict):
    """The photos that a merge brought together are not there any more."""

    code = "CANNOT_UNDO"
    default_message = "The photos have changed too much since; one of the two persons would be left without any"


class InvalidRequest(VisageError):
    """No sound HTTP, or more of it than anyone needs: headers, an address."""

    code = "INVALID_REQUEST"
    default_message = "This is not a request that the server understands"


class AccessError(VisageError):
    """Who asks, or from where, is not allowed to."""

    code = "FORBIDDEN"


class HostNotAllowed(AccessError):
    """The request names a host that this server is not known by: a foreign page may have sent it (DNS rebinding)."""

    code = "HOST_NOT_ALLOWED"
    default_message = "This server does not answer to that name; VISAGE_ALLOWED_HOSTS adds one"


class Unauthenticated(AccessError):
    """No API key, or one that is not known."""

    code = "UNAUTHENTICATED"
    default_message = "This needs an API key"


class Forbidden(AccessError):
    """The key's role does not allow this, or a foreign page sent it."""

    code = "FORBIDDEN"
    default_message = "This is not allowed"


class TooManyGuesses(AccessError):
    """Wrong keys came from this address; `details.retry_after_s` says how long none is looked at."""

    code = "RATE_LIMITED"
    default_message = "Too many wrong keys came from your address; try again in a moment"


class NotReady(VisageError):
    """Models or bank are still loading."""

    code = "NOT_READY"
    default_message = "The server is still loading; try again in a moment"


class Stopping(NotReady):
    """The server ends, or the client went: what was begun is left."""

    default_message = "The server is stopping; try again in a moment"


class Overloaded(VisageError):
    """More work at once than the server takes on."""

    code = "RATE_LIMITED"
    default_message = "Too many requests at once; try again in a moment"


class NotAccounted(VisageError):
    """Something was done, and the audit log could not be written."""

    code = "NOT_ACCOUNTED"
    default_message = "It was done, but could not be written to the audit log; check the disk of the data directory"


class InstallationError(VisageError):
    """The installation cannot work as it is; shown by `visage doctor`."""

    code = "INSTALLATION_ERROR"


class WeightsError(InstallationError):
    """A model file is missing or is not the file it should be."""

    code = "WEIGHTS_ERROR"


class UnknownModel(InstallationError):
    """The settings or a command name a model that the catalogue does not hold; `details.nearest` is a guess."""

    code = "UNKNOWN_MODEL"


class NoCalibration(InstallationError):
    """Nobody measured what the similarities of this model mean: it may name nobody."""

    code = "NO_CALIBRATION"


class BankError(InstallationError):
    """The bank cannot be opened or written."""

    code = "BANK_ERROR"
    default_message = "The bank cannot be read or written"


class DamagedPerson(BankError):
    """What is stored of one person was altered or broken; `details.person_id` says whose. The others are served."""

    @property
    def person_id(self) -> str:
        """Whose."""
        return str((self.details or {}).get("person_id", ""))

    @classmethod
    def of(cls, person_id: str, what: str) -> DamagedPerson:
        """Whose, and what of theirs."""
        return cls(
            f"What is stored of person {person_id} is damaged. Restore a backup, or delete this person and register "
            "again",
            {"person_id": person_id, "what": what},
        )
