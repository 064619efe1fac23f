package dev.satchel

import dev.satchel.internal.Json
import dev.satchel.internal.Reply
import dev.satchel.internal.Request
import dev.satchel.internal.metadataOf

/** How a store is opened. What is null is left to the library. */
public class StoreOptions {
    /** The embedder; without one, search is by words. */
    public var embedder: Model? = null

    /** Never write. */
    public var readOnly: Boolean = false

    /** [NotFoundException] instead of making it. */
    public var mustExist: Boolean = false

    /** Size of a chunk. */
    public var chunkTokens: Int? = null
}

/** What is known of a document that is added. */
public class AddOptions {
    /** Else the reader's, else the last part of the id. */
    public var title: String? = null

    /** Strings, numbers, booleans and lists of strings. */
    public var metadata: Map<String, Any> = emptyMap()

    /** The metadata as JSON, instead of [metadata]. */
    public var metadataJson: String? = null

    /** "text/markdown"; of bytes, chooses the reader. */
    public var mediaType: String? = null

    /** Unix time in milliseconds. */
    public var modifiedMillis: Long? = null

    /** Found by words now, by meaning after [Store.maintain]. */
    public var deferEmbedding: Boolean = false

    /** [ExistsException] instead of replacing a document of the same id. */
    public var mustBeNew: Boolean = false

    @JvmSynthetic
    internal fun write(to: Request, store: Long, id: String, cancel: Long): Request {
        val json = metadataJson ?: if (metadata.isEmpty()) null else Json.write(metadata)
        return to.long(store).text(id).text(title).text(json).text(mediaType).long(modifiedMillis)
            .flag(deferEmbedding).flag(mustBeNew).long(cancel)
    }
}

/** How a folder is synced. What is null is left to the library. */
public class SyncOptions {
    /** Name of the root; else the folder's own. */
    public var root: String? = null

    /** Never remove documents whose files are gone. */
    public var keepMissing: Boolean = false

    /** Remove them also when more than a fifth of the root would go. */
    public var allowRemovals: Boolean = false

    /** Stop after words. */
    public var deferEmbedding: Boolean = false

    /** Files and folders whose name starts with a dot, too. */
    public var includeHidden: Boolean = false

    /** Larger files are passed over. */
    public var maxFileBytes: Long? = null
}

/** A document of a store. */
public class Document internal constructor(
    public val id: String,
    public val title: String,
    public val metadataJson: String,
    public val mediaType: String,
    public val textBytes: Long,
    public val chunks: Long,
    public val chunksEmbedded: Long,
    public val modifiedMillis: Long,
    /** Why the last sync could not read it; null if it could. */
    public val failure: String?,
) {
    /** Strings, numbers, booleans and lists of strings. */
    public val metadata: Map<String, Any?> get() = metadataOf(metadataJson)
}

/** A folder that was synced. */
public class Root internal constructor(
    public val name: String,
    public val path: String,
    public val documents: Long,
)

/** How full a store is. */
public class StoreStats internal constructor(reply: Reply) {
    public val documents: Long = reply.long()
    public val chunks: Long = reply.long()

    /** With the model the store was opened with. */
    public val chunksEmbedded: Long = reply.long()

    /** Still without a vector, while a model is given. */
    public val chunksPending: Long = reply.long()
    public val textBytes: Long = reply.long()

    /** Of the store, its journal and its vector index. */
    public val fileBytes: Long = reply.long()

    /** Files that the last sync could not read. */
    public val failures: Long = reply.long()
    public val formatVersion: Int = reply.int()
    public val hasModel: Boolean = reply.flag()
    public val dimension: Int = reply.int()
}
