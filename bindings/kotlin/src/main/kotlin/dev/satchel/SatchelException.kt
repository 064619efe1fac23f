package dev.satchel

import dev.satchel.internal.Native
import dev.satchel.internal.Request

/** What a call can end with: the library's statuses, and [CLOSED] of this package. */
public enum class Status(
    /** The library's number, which never changes its meaning. */
    public val code: Int,
) {
    /** It worked. */
    OK(0),

    /** A NULL, a size or a value the call does not take. */
    INVALID_ARGUMENT(-1),

    /** The allocator returned NULL. */
    OUT_OF_MEMORY(-2),

    /** The context's memory limit would be passed; names the need. */
    MEMORY_LIMIT(-3),

    /** Reading or writing failed; os_code says why. */
    IO(-4),

    /** No such file, document or key. */
    NOT_FOUND(-5),

    /** It is there already. */
    EXISTS(-6),

    /** No space left; nothing was lost. */
    DISK_FULL(-7),

    /** The system refused access. */
    PERMISSION(-8),

    /** Locked by data protection or another program; not damaged. */
    LOCKED(-9),

    /** Another writer is at work, or a callback calls back. */
    BUSY(-10),

    /** The cancel handle was fired. */
    CANCELLED(-11),

    /** The file's bytes contradict its format. */
    DAMAGED(-12),

    /** Valid, but this build or version cannot do it. */
    UNSUPPORTED(-13),

    /** Written by a newer format version. */
    TOO_NEW(-14),

    /** The file is something else. */
    NOT_A_STORE(-15),

    /** The model's kind, dimension or fingerprint does not fit. */
    WRONG_MODEL(-16),

    /** Not valid UTF-8. */
    INVALID_TEXT(-17),

    /** The filter's JSON, key or operator is wrong; says where. */
    INVALID_FILTER(-18),

    /** Not a flat JSON object. */
    INVALID_METADATA(-19),

    /** Larger than a documented limit. */
    LIMIT(-20),

    /** Over a fifth of a synced folder would go; see [SyncOptions.allowRemovals]. */
    CONFIRM_REMOVALS(-21),

    /** An application callback reported failure. */
    CALLBACK(-22),

    /** The handle was made before fork(); open a new one. */
    FORKED(-23),

    /** The store is open for reading only. */
    READ_ONLY(-24),

    /** The call needs a model that is not there. */
    NO_MODEL(-25),

    /** A bug in Satchel; please report the message. */
    INTERNAL(-26),

    /** The object was closed. Of this package: the library has none for it. */
    CLOSED(1),

    /** A status of a later version of the library. */
    UNKNOWN(Int.MIN_VALUE),
    ;

    internal companion object {
        @JvmSynthetic
        fun of(code: Int): Status = entries.firstOrNull { it.code == code } ?: UNKNOWN
    }
}

/**
 * What the library reports: a status, and English for developers that says what went wrong, where, and
 * what to do. Each status has a class of its own below. Embedders, generators and readers may throw
 * one, too: a reader that throws [UnsupportedException] lets the next try.
 */
public open class SatchelException @JvmOverloads constructor(
    /** What kind of failure it was. */
    public val status: Status,
    message: String,
    /** The system's error number (`errno`) where the system was at fault, else 0. */
    public val osCode: Int = 0,
    /** What the app's embedder, generator or reader threw, if that was the reason. */
    cause: Throwable? = null,
) : RuntimeException(message, cause) {
    /** The library's number for the status. */
    public val code: Int get() = status.code

    /** The library's name for the status: `SATCHEL_NOT_FOUND`. */
    public val statusName: String
        get() = if (status == Status.CLOSED) "CLOSED" else Request(8).int(code).send(Native::statusName).string()

    override fun toString(): String = "${javaClass.name}: ${status.name}: $message"

    internal companion object {
        @JvmSynthetic
        fun of(code: Int, osCode: Int, message: String, cause: Throwable?): SatchelException =
            when (val status = Status.of(code)) {
                Status.INVALID_ARGUMENT -> InvalidArgumentException(message, osCode, cause)
                Status.OUT_OF_MEMORY -> OutOfMemoryException(message, osCode, cause)
                Status.MEMORY_LIMIT -> MemoryLimitException(message, osCode, cause)
                Status.IO -> IoException(message, osCode, cause)
                Status.NOT_FOUND -> NotFoundException(message, osCode, cause)
                Status.EXISTS -> ExistsException(message, osCode, cause)
                Status.DISK_FULL -> DiskFullException(message, osCode, cause)
                Status.PERMISSION -> PermissionException(message, osCode, cause)
                Status.LOCKED -> LockedException(message, osCode, cause)
                Status.BUSY -> BusyException(message, osCode, cause)
                Status.CANCELLED -> CancelledException(message, osCode, cause)
                Status.DAMAGED -> DamagedException(message, osCode, cause)
                Status.UNSUPPORTED -> UnsupportedException(message, osCode, cause)
                Status.TOO_NEW -> TooNewException(message, osCode, cause)
                Status.NOT_A_STORE -> NotAStoreException(message, osCode, cause)
                Status.WRONG_MODEL -> WrongModelException(message, osCode, cause)
                Status.INVALID_TEXT -> InvalidTextException(message, osCode, cause)
                Status.INVALID_FILTER -> InvalidFilterException(message, osCode, cause)
                Status.INVALID_METADATA -> InvalidMetadataException(message, osCode, cause)
                Status.LIMIT -> LimitException(message, osCode, cause)
                Status.CONFIRM_REMOVALS -> ConfirmRemovalsException(message, osCode, cause)
                Status.CALLBACK -> CallbackException(message, osCode, cause)
                Status.FORKED -> ForkedException(message, osCode, cause)
                Status.READ_ONLY -> ReadOnlyException(message, osCode, cause)
                Status.NO_MODEL -> NoModelException(message, osCode, cause)
                Status.INTERNAL -> InternalException(message, osCode, cause)
                else -> SatchelException(status, message, osCode, cause)
            }
    }
}

/** [Status.INVALID_ARGUMENT]: a NULL, a size or a value the call does not take. */
public class InvalidArgumentException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.INVALID_ARGUMENT, message, osCode, cause)

/** [Status.OUT_OF_MEMORY]: the allocator returned NULL. */
public class OutOfMemoryException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.OUT_OF_MEMORY, message, osCode, cause)

/** [Status.MEMORY_LIMIT]: the context's memory limit would be passed; names the need. */
public class MemoryLimitException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.MEMORY_LIMIT, message, osCode, cause)

/** [Status.IO]: reading or writing failed; os_code says why. */
public class IoException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.IO, message, osCode, cause)

/** [Status.NOT_FOUND]: no such file, document or key. */
public class NotFoundException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.NOT_FOUND, message, osCode, cause)

/** [Status.EXISTS]: it is there already. */
public class ExistsException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.EXISTS, message, osCode, cause)

/** [Status.DISK_FULL]: no space left; nothing was lost. */
public class DiskFullException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.DISK_FULL, message, osCode, cause)

/** [Status.PERMISSION]: the system refused access. */
public class PermissionException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.PERMISSION, message, osCode, cause)

/** [Status.LOCKED]: locked by data protection or another program; not damaged. */
public class LockedException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.LOCKED, message, osCode, cause)

/** [Status.BUSY]: another writer is at work, or a callback calls back. */
public class BusyException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.BUSY, message, osCode, cause)

/** [Status.CANCELLED]: the cancel handle was fired. */
public class CancelledException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.CANCELLED, message, osCode, cause)

/** [Status.DAMAGED]: the file's bytes contradict its format. */
public class DamagedException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.DAMAGED, message, osCode, cause)

/** [Status.UNSUPPORTED]: valid, but this build or version cannot do it. */
public class UnsupportedException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.UNSUPPORTED, message, osCode, cause)

/** [Status.TOO_NEW]: written by a newer format version. */
public class TooNewException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.TOO_NEW, message, osCode, cause)

/** [Status.NOT_A_STORE]: the file is something else. */
public class NotAStoreException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.NOT_A_STORE, message, osCode, cause)

/** [Status.WRONG_MODEL]: the model's kind, dimension or fingerprint does not fit. */
public class WrongModelException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.WRONG_MODEL, message, osCode, cause)

/** [Status.INVALID_TEXT]: not valid UTF-8. */
public class InvalidTextException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.INVALID_TEXT, message, osCode, cause)

/** [Status.INVALID_FILTER]: the filter's JSON, key or operator is wrong; says where. */
public class InvalidFilterException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.INVALID_FILTER, message, osCode, cause)

/** [Status.INVALID_METADATA]: not a flat JSON object. */
public class InvalidMetadataException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.INVALID_METADATA, message, osCode, cause)

/** [Status.LIMIT]: larger than a documented limit. */
public class LimitException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.LIMIT, message, osCode, cause)

/** [Status.CONFIRM_REMOVALS]: over a fifth of a synced folder would go; see [SyncOptions.allowRemovals]. */
public class ConfirmRemovalsException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.CONFIRM_REMOVALS, message, osCode, cause)

/** [Status.CALLBACK]: an application callback reported failure. */
public class CallbackException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.CALLBACK, message, osCode, cause)

/** [Status.FORKED]: the handle was made before fork(); open a new one. */
public class ForkedException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.FORKED, message, osCode, cause)

/** [Status.READ_ONLY]: the store is open for reading only. */
public class ReadOnlyException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.READ_ONLY, message, osCode, cause)

/** [Status.NO_MODEL]: the call needs a model that is not there. */
public class NoModelException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.NO_MODEL, message, osCode, cause)

/** [Status.INTERNAL]: a bug in Satchel; please report the message. */
public class InternalException @JvmOverloads constructor(
    message: String,
    osCode: Int = 0,
    cause: Throwable? = null,
) : SatchelException(Status.INTERNAL, message, osCode, cause)

/** [Status.CLOSED]: the object was closed. */
public class ClosedException(message: String) : SatchelException(Status.CLOSED, message)
