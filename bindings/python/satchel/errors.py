"""Exceptions: one class per status code of the C library, all of them SatchelError."""

from __future__ import annotations

from typing import Dict, Type


class SatchelError(Exception):
    """A call of the library failed.

    Attributes:
        code: the satchel_status, a negative number that never changes its meaning.
        status: its name, such as "SATCHEL_BUSY".
        message: what happened, where, and what to do; English, for developers.
        os_code: the system's error number where the system was at fault, else 0.
    """

    def __init__(self, message: str, code: int = 0, status: str = "", os_code: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.os_code = os_code

    def __str__(self) -> str:
        return f"{self.message} ({self.status})" if self.status else self.message

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return type(self), (self.message, self.code, self.status, self.os_code)


class InvalidArgument(SatchelError, ValueError):
    """An argument the call does not take."""


class OutOfMemory(SatchelError, MemoryError):
    """The system has no memory left."""


class MemoryLimit(SatchelError, MemoryError):
    """The context's memory limit would be passed; the message names the need."""


class IOFailed(SatchelError):
    """Reading or writing failed; os_code says why."""


class NotFound(SatchelError, LookupError):
    """No such file, document or key."""


class Exists(SatchelError):
    """It is there already."""


class DiskFull(SatchelError):
    """No space is left on the disk; nothing was lost."""


class PermissionDenied(SatchelError):
    """The system refused access."""


class Locked(SatchelError):
    """Locked by data protection or another program; not damaged."""


class Busy(SatchelError):
    """Another writer is at work, or a callback calls back."""


class Cancelled(SatchelError):
    """The cancel handle was fired."""


class Damaged(SatchelError):
    """The file's bytes contradict its format."""


class Unsupported(SatchelError):
    """Valid, but this build or version cannot do it."""


class TooNew(SatchelError):
    """Written by a newer version of the format."""


class NotAStore(SatchelError):
    """The file is something else."""


class WrongModel(SatchelError):
    """The model's kind, dimension or fingerprint does not fit."""


class InvalidText(SatchelError, ValueError):
    """Not valid Unicode text."""


class InvalidFilter(SatchelError, ValueError):
    """The filter's JSON, key or operator is wrong; the message says where."""


class InvalidMetadata(SatchelError, ValueError):
    """Not a flat object of strings, numbers, booleans and lists of strings."""


class LimitReached(SatchelError):
    """Larger than a documented limit."""


class ConfirmRemovals(SatchelError):
    """A sync would remove more than a fifth of a root; see allow_removals."""


class CallbackFailed(SatchelError):
    """An embedder or reader of the application failed; __cause__ is its exception."""


class Forked(SatchelError):
    """The handle was made before fork(); open a new one."""


class ReadOnly(SatchelError):
    """The store is open for reading only."""


class NoModel(SatchelError):
    """The call needs a model that is not there."""


class InternalError(SatchelError):
    """A bug in Satchel; please report the message."""


class Closed(SatchelError, ValueError):
    """The object was closed. This one has no status code: the binding notices it itself."""


#: By name, because the numbers belong to the C header.
BY_STATUS: Dict[str, Type[SatchelError]] = {
    "SATCHEL_INVALID_ARGUMENT": InvalidArgument,
    "SATCHEL_OUT_OF_MEMORY": OutOfMemory,
    "SATCHEL_MEMORY_LIMIT": MemoryLimit,
    "SATCHEL_IO": IOFailed,
    "SATCHEL_NOT_FOUND": NotFound,
    "SATCHEL_EXISTS": Exists,
    "SATCHEL_DISK_FULL": DiskFull,
    "SATCHEL_PERMISSION": PermissionDenied,
    "SATCHEL_LOCKED": Locked,
    "SATCHEL_BUSY": Busy,
    "SATCHEL_CANCELLED": Cancelled,
    "SATCHEL_DAMAGED": Damaged,
    "SATCHEL_UNSUPPORTED": Unsupported,
    "SATCHEL_TOO_NEW": TooNew,
    "SATCHEL_NOT_A_STORE": NotAStore,
    "SATCHEL_WRONG_MODEL": WrongModel,
    "SATCHEL_INVALID_TEXT": InvalidText,
    "SATCHEL_INVALID_FILTER": InvalidFilter,
    "SATCHEL_INVALID_METADATA": InvalidMetadata,
    "SATCHEL_LIMIT": LimitReached,
    "SATCHEL_CONFIRM_REMOVALS": ConfirmRemovals,
    "SATCHEL_CALLBACK": CallbackFailed,
    "SATCHEL_FORKED": Forked,
    "SATCHEL_READ_ONLY": ReadOnly,
    "SATCHEL_NO_MODEL": NoModel,
    "SATCHEL_INTERNAL": InternalError,
}
