package dev.satchel

import dev.satchel.internal.Handle
import dev.satchel.internal.Native
import dev.satchel.internal.ProblemCallback
import dev.satchel.internal.ProgressCallback
import dev.satchel.internal.Request
import dev.satchel.internal.Work
import dev.satchel.internal.answerEvents
import dev.satchel.internal.cancellable
import dev.satchel.internal.results
import dev.satchel.internal.syncEvents
import dev.satchel.internal.utf8
import java.nio.ByteBuffer
import kotlinx.coroutines.flow.Flow

/**
 * Documents and their index, in one file. It may be used from many threads; many stores may be open on
 * one file, in one process or many.
 *
 * Each call is there twice: suspending, on threads of the package's own, ended when its job is cancelled; and
 * blocking, for Java and for workers, with a [CancelSignal]. Blocking calls are not for the main thread.
 */
public class Store private constructor(
    /** What it was opened on. */
    public val context: Context,
    /** What embeds its documents. */
    public val embedder: Model?,
    pointer: Long,
) : AutoCloseable {
    private val handle = Handle(context, pointer, "the store", Native::storeClose)

    // ---------------------------------------------------------------- adding

    /** Adds or replaces a document. It is committed, and found, when this returns. */
    public suspend fun add(id: String, text: String, options: AddOptions = AddOptions()): Unit =
        Work.run { addBlocking(id, text, options, it) }

    /** As [add], blocking. */
    @JvmOverloads
    public fun addBlocking(
        id: String,
        text: String,
        options: AddOptions = AddOptions(),
        signal: CancelSignal? = null,
    ) {
        val bytes = utf8(text)
        handle.cancellable(signal) { store, cancel ->
            options.write(Request(), store, id, cancel).send(Native::storeAddText, bytes)
        }
    }

    /**
     * Adds or replaces a document from the bytes of a file: [AddOptions.mediaType], the id or the bytes choose
     * the reader.
     */
    public suspend fun add(id: String, data: ByteArray, options: AddOptions = AddOptions()): Unit =
        Work.run { addBlocking(id, data, options, it) }

    /** As [add], blocking. */
    @JvmOverloads
    public fun addBlocking(
        id: String,
        data: ByteArray,
        options: AddOptions = AddOptions(),
        signal: CancelSignal? = null,
    ): Unit = addData(id, data, options, signal)

    /** As [add], of all of a direct buffer, which is not copied. */
    @JvmOverloads
    public fun addBlocking(
        id: String,
        data: ByteBuffer,
        options: AddOptions = AddOptions(),
        signal: CancelSignal? = null,
    ) {
        require(data.isDirect) { "the buffer is not direct: give its array" }
        addData(id, data, options, signal)
    }

    private fun addData(id: String, data: Any, options: AddOptions, signal: CancelSignal?) {
        handle.cancellable(signal) { store, cancel ->
            options.write(Request(), store, id, cancel).send(Native::storeAddBytes, data)
        }
    }

    /** As [add], of [length] bytes at [offset] of an open descriptor, which the caller keeps; 0: to the end. */
    public suspend fun addFile(
        id: String,
        fileDescriptor: Int,
        offset: Long = 0,
        length: Long = 0,
        options: AddOptions = AddOptions(),
    ): Unit = Work.run { addFileBlocking(id, fileDescriptor, offset, length, options, it) }

    /** As [addFile], blocking. */
    @JvmOverloads
    public fun addFileBlocking(
        id: String,
        fileDescriptor: Int,
        offset: Long = 0,
        length: Long = 0,
        options: AddOptions = AddOptions(),
        signal: CancelSignal? = null,
    ) {
        handle.cancellable(signal) { store, cancel ->
            val request = Request().int(fileDescriptor).long(offset).long(length)
            options.write(request, store, id, cancel).send(Native::storeAddFd)
        }
    }

    /** Lets [reader] read files that are added or synced from now on. The last one added goes first. */
    public fun addReader(reader: Reader): Unit = handle.use {
        Request().long(it).text(reader.id).text(reader.mediaTypes.joinToString(" "))
            .text(reader.extensions.joinToString(" ")).send(Native::storeAddReader, callback = ReaderCallback(reader))
        Unit
    }

    /** Removes a document. */
    public suspend fun remove(id: String): Unit = Work.run { removeBlocking(id) }

    /** As [remove], blocking. */
    public fun removeBlocking(id: String): Unit = handle.use {
        Request().long(it).text(id).send(Native::storeRemove)
        Unit
    }

    /** Brings documents in line with a folder, or one file. Collect it: nothing happens before. */
    public fun sync(path: String, options: SyncOptions = SyncOptions()): Flow<SyncEvent> =
        Work.flow { syncBlocking(path, options, it) }

    /** As [sync], blocking. */
    @JvmOverloads
    public fun syncBlocking(
        path: String,
        options: SyncOptions = SyncOptions(),
        signal: CancelSignal? = null,
    ): EventStream<SyncEvent> = EventStream(context, signal, syncEvents) { cancel ->
        handle.use {
            Request().long(it).text(path).text(options.root).flag(options.keepMissing)
                .flag(options.allowRemovals).flag(options.deferEmbedding).flag(options.includeHidden)
                .long(options.maxFileBytes).long(cancel).send(Native::storeSync).long()
        }
    }

    /**
     * Does what was put off, for about [budgetMillis] or until all is done: embeds what has no vector yet, keeps the
     * vector index that a large store has beside it, and gives free space back. A sync ends with the same. Gives the
     * chunks that are left to embed, and at least 1 while the index is not finished: call again until it is 0.
     */
    public suspend fun maintain(budgetMillis: Long? = null): Long = Work.run { maintainBlocking(budgetMillis, it) }

    /** As [maintain], blocking. */
    @JvmOverloads
    public fun maintainBlocking(budgetMillis: Long? = null, signal: CancelSignal? = null): Long =
        handle.cancellable(signal) { store, cancel ->
            Request().long(store).long(budgetMillis).long(cancel).send(Native::storeMaintain).long()
        }

    // ---------------------------------------------------------------- looking

    /** Finds passages. */
    public suspend fun search(query: String, options: SearchOptions = SearchOptions()): SearchResults =
        Work.run { searchBlocking(query, options, it) }

    /** As [search], blocking. */
    @JvmOverloads
    public fun searchBlocking(
        query: String,
        options: SearchOptions = SearchOptions(),
        signal: CancelSignal? = null,
    ): SearchResults = handle.cancellable(signal) { store, cancel ->
        Request().long(store).text(query).int(options.mode?.code).int(options.limit)
            .text(options.filter?.json).long(cancel).send(Native::search).results()
    }

    /** Answers a question, with citations. Each collection asks anew. */
    public fun ask(question: String, options: AskOptions = AskOptions()): Flow<AnswerEvent> =
        Work.flow { askBlocking(question, options, it) }

    /** As [ask], blocking. */
    @JvmOverloads
    public fun askBlocking(
        question: String,
        options: AskOptions = AskOptions(),
        signal: CancelSignal? = null,
    ): EventStream<AnswerEvent> = EventStream(context, signal, answerEvents) { cancel ->
        handle.use { store ->
            options.withGenerator { generator ->
                options.write(Request().long(store).text(question), generator, cancel).send(Native::ask).long()
            }
        }
    }

    /** Prepares a question for a model that the app runs itself. [AskOptions.contextTokens] must be given. */
    public suspend fun prepare(question: String, options: AskOptions): PreparedQuestion =
        Work.open { prepareBlocking(question, options, it) }

    /** As [prepare], blocking. */
    @JvmOverloads
    public fun prepareBlocking(
        question: String,
        options: AskOptions,
        signal: CancelSignal? = null,
    ): PreparedQuestion = handle.cancellable(signal, kept = true) { store, cancel ->
        options.withGenerator { generator ->
            val request = options.write(Request().long(store).text(question), generator, cancel)
            PreparedQuestion(context, request.send(Native::askPrepare))
        }
    }

    /** The documents, by id. */
    public suspend fun documents(filter: Filter? = null, limit: Long? = null, offset: Long = 0): List<Document> =
        Work.run { documentsBlocking(filter, limit, offset) }

    /** As [documents], blocking. */
    @JvmOverloads
    public fun documentsBlocking(filter: Filter? = null, limit: Long? = null, offset: Long = 0): List<Document> =
        handle.use {
            val reply = Request().long(it).text(filter?.json).long(limit).long(offset).send(Native::storeList)
            reply.list {
                Document(
                    reply.string(), reply.string(), reply.string(), reply.string(), reply.long(),
                    reply.long(), reply.long(), reply.long(), reply.text(),
                )
            }
        }

    /** The stored text of a document. */
    public suspend fun text(id: String): String = Work.run { textBlocking(id) }

    /** As [text], blocking. */
    public fun textBlocking(id: String): String = String(textBytesBlocking(id), Charsets.UTF_8)

    /** UTF-8 of a document's text, from byte [start] on, at most [length] bytes. */
    @JvmOverloads
    public fun textBytesBlocking(id: String, start: Long = 0, length: Long = -1): ByteArray = handle.use {
        val reply = Request().long(it).text(id).long(start).long(length).send(Native::storeText)
        reply.long()
        reply.bytes()
    }

    /** What the documents are about. */
    public suspend fun topics(options: TopicsOptions = TopicsOptions()): Topics =
        Work.run { topicsBlocking(options, it) }

    /** As [topics], blocking. */
    @JvmOverloads
    public fun topicsBlocking(options: TopicsOptions = TopicsOptions(), signal: CancelSignal? = null): Topics =
        handle.cancellable(signal) { store, cancel ->
            Topics(
                Request().long(store).int(options.count).int(options.words).int(options.sentences)
                    .int(options.iterations).int(options.mode?.code).long(options.seed)
                    .text(options.filter?.json).long(cancel)
                    .send(Native::storeTopics, callback = options.progress?.let(::ProgressCallback)),
            )
        }

    // ---------------------------------------------------------------- upkeep

    /** How full it is. */
    public suspend fun stats(): StoreStats = Work.run { statsBlocking() }

    /** As [stats], blocking. */
    public fun statsBlocking(): StoreStats =
        handle.use { StoreStats(Request(8).long(it).send(Native::storeStats)) }

    /** The folders that were synced. */
    public fun rootsBlocking(): List<Root> = handle.use {
        val reply = Request(8).long(it).send(Native::storeRoots)
        buildList { while (reply.flag()) add(Root(reply.string(), reply.string(), reply.long())) }
    }

    /** Checks the whole store; gives the problems found. */
    public suspend fun verify(): List<String> = Work.run { verifyBlocking(it) }

    /** As [verify], blocking. */
    @JvmOverloads
    public fun verifyBlocking(signal: CancelSignal? = null): List<String> = handle.use {
        val problems = ArrayList<String>()
        val callback = ProblemCallback { problem ->
            problems.add(problem)
            if (signal?.isCancelled == true) throw CancelledException("the check was cancelled")
        }
        Request(8).long(it).send(Native::storeVerify, callback = callback)
        problems
    }

    /** Copies the store as it is now into a new file. */
    public suspend fun backup(path: String): Unit = Work.run { backupBlocking(path, it) }

    /** As [backup], blocking. */
    @JvmOverloads
    public fun backupBlocking(path: String, signal: CancelSignal? = null) {
        handle.cancellable(signal) { store, cancel ->
            Request().long(store).text(path).long(cancel).send(Native::storeBackup)
        }
    }

    /** Cancels calls on the store and waits for them. Streams that it gave go on until they are closed. */
    override fun close(): Unit = handle.close()

    /** Opens stores. */
    public companion object {
        /** Opens or makes a store. */
        public suspend fun open(
            path: String,
            options: StoreOptions = StoreOptions(),
            context: Context? = null,
        ): Store = Work.open { openBlocking(path, options, context) }

        /** As [open], blocking. Without a context, the embedder's serves, or [Context.shared]. */
        @JvmStatic
        @JvmOverloads
        public fun openBlocking(
            path: String,
            options: StoreOptions = StoreOptions(),
            context: Context? = null,
        ): Store {
            val on = context ?: options.embedder?.context ?: Context.shared()
            fun open(model: Long): Store = on.use {
                val request = Request().long(it).text(path).long(model).flag(options.readOnly)
                    .flag(options.mustExist).int(options.chunkTokens)
                Store(on, options.embedder, request.send(Native::storeOpen).long())
            }
            return options.embedder?.handle?.use { open(it) } ?: open(0)
        }
    }
}
