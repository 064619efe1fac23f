// The library's enumerations. `UNKNOWN` is a constant of a later version of the library.
package dev.satchel

/** A constant of the library. */
public interface Coded {
    /** The number of it in the library. */
    public val code: Int
}

/** How a search looks for passages. */
public enum class SearchMode(override val code: Int) : Coded {
    /** By words. */
    KEYWORD(1),

    /** By meaning; needs an embedder. */
    VECTOR(2),

    /** By both; by words alone without an embedder, and the results say so. */
    HYBRID(3),
    UNKNOWN(-1),
}

/** How a question is answered. */
public enum class AnswerMode(override val code: Int) : Coded {
    /** With sentences quoted from the documents. */
    EXTRACTIVE(1),

    /** By a language model. */
    GENERATED(2),

    /** By a model that the app runs itself: [PreparedQuestion]. */
    EXTERNAL(3),
    UNKNOWN(-1),
}

/** Why a question is answered as it is, or not at all. */
public enum class Reason(override val code: Int) : Coded {
    NONE(0),

    /** The options asked for this mode. */
    REQUESTED(1),

    /** No language model is there. */
    NO_GENERATOR(2),

    /** Refusal: there is no document, or none passes the filter. */
    EMPTY_STORE(3),

    /** Refusal: nothing matches the question. */
    NO_EVIDENCE(4),

    /** Refusal: what matches supports no answer well enough. */
    WEAK_EVIDENCE(5),

    /** Found by words alone. */
    NO_EMBEDDER(6),

    /** A language model is there. */
    GENERATOR(7),

    /** Refusal: the language model found no answer in the passages. */
    DECLINED(8),
    UNKNOWN(-1),
}

/** What long work is busy with. */
public enum class Phase(override val code: Int) : Coded {
    SCAN(1),
    KEYWORDS(2),
    EMBED(3),
    LOAD(4),
    CLUSTER(5),
    DESCRIBE(6),
    WARM(7),
    PREFILL(8),
    UNKNOWN(-1),
}

/** What a sync did with a file. */
public enum class FileChange(override val code: Int) : Coded {
    ADDED(1),
    CHANGED(2),
    REMOVED(3),

    /** [FileEvent.status] and [FileEvent.message] say why. */
    FAILED(4),

    /** No reader for it, or too large. */
    SKIPPED(5),

    /** The same content under a new id. */
    RENAMED(6),
    UNKNOWN(-1),
}

/** Why a generated answer ended. */
public enum class FinishReason(override val code: Int) : Coded {
    NONE(0),

    /** The model said so, or schema or grammar allow no more. */
    END(1),

    /** [GenerateOptions.maxTokens]. */
    LENGTH(2),

    /** A stop string. */
    STOP(3),

    /** The context is full. */
    CONTEXT(4),
    UNKNOWN(-1),
}

/** What to do when prompt and answer fill the context. */
public enum class Overflow(override val code: Int) : Coded {
    ERROR(0),

    /** Half of what stands behind the first tokens is forgotten. */
    SHIFT(1),
    UNKNOWN(-1),
}

/** How an embedder makes one vector of many. */
public enum class Pooling(override val code: Int) : Coded { MEAN(1), CLS(2), LAST(3), UNKNOWN(-1) }

/** How a generator holds the keys and values of the tokens it has read. */
public enum class KVType(override val code: Int) : Coded { F16(1), Q8_0(2), F32(3), UNKNOWN(-1) }

/** What a model makes. */
public enum class ModelKind(override val code: Int) : Coded { EMBEDDER(1), GENERATOR(2), UNKNOWN(-1) }

/** What a text is embedded as. */
public enum class Role(override val code: Int) : Coded { DOCUMENT(0), QUERY(1), UNKNOWN(-1) }

/** How much a log tells. */
public enum class LogLevel(override val code: Int) : Coded {
    ERROR(1),
    WARNING(2),
    INFO(3),
    DEBUG(4),
    UNKNOWN(-1),
}

/** What k-means makes small. */
public enum class KMeansObjective(override val code: Int) : Coded { EUCLIDEAN(0), INNER_PRODUCT(1), UNKNOWN(-1) }

/** Whether k-means looks at all points in every iteration. */
public enum class KMeansMode(override val code: Int) : Coded { EXACT(0), FAST(1), UNKNOWN(-1) }

/** Where k-means begins. */
public enum class KMeansInit(override val code: Int) : Coded {
    GIVEN(1),
    RANDOM(2),
    PLUS_PLUS(3),
    PARALLEL(4),
    UNKNOWN(-1),
}

/** Why k-means stopped. */
public enum class KMeansStop(override val code: Int) : Coded {
    ITERATIONS(1),
    UNCHANGED(2),
    TOLERANCE(3),
    UNKNOWN(-1),
}

