package dev.satchel

import dev.satchel.internal.Reply

/** How topics are found. What is null is left to the library. */
public class TopicsOptions {
    /** Topics at most. */
    public var count: Int? = null

    /** Words in a label at most. */
    public var words: Int? = null

    /** Sentences that show a topic at most; -1: none. */
    public var sentences: Int? = null

    /** Of the clustering at most. */
    public var iterations: Int? = null
    public var mode: KMeansMode? = null
    public var seed: Long? = null
    public var filter: Filter? = null
    public var progress: ProgressListener? = null
}

/** A document of a [Topic]. */
public class TopicDocument internal constructor(reply: Reply) {
    public val id: String = reply.string()
    public val title: String = reply.string()

    /** Of the document in this topic. */
    public val chunks: Long = reply.long()

    /** Of the document in all topics. */
    public val chunksInAll: Long = reply.long()
}

/** A sentence that shows what a [Topic] is about. */
public class TopicSentence internal constructor(reply: Reply) {
    public val text: String = reply.string()
    public val documentId: String = reply.string()
    public val title: String = reply.string()
    public val heading: String = reply.string()
    public val chunk: Long = reply.long()

    /** Of the document's text. */
    public val range: TextRange = reply.range()

    /** Cosine with the centroid. */
    public val score: Float = reply.float()
    public val page: Int? = reply.int().takeIf { it > 0 }
    public val timeMillis: Long? = reply.long().takeIf { it >= 0 }
}

/** Chunks that are about the same. */
public class Topic internal constructor(reply: Reply) {
    /** Its most telling words: "lease, deposit, rent". */
    public val label: String = reply.string()
    public val words: List<String> = reply.list { reply.string() }
    public val chunks: Long = reply.long()

    /** Of all chunks grouped. */
    public val share: Double = reply.double()

    /** Mean cosine of its chunks with the centroid. */
    public val cohesion: Double = reply.double()

    /** Of length 1. */
    public val centroid: FloatArray = reply.floats()

    /** By their chunks in it. */
    public val documents: List<TopicDocument> = reply.list { TopicDocument(reply) }

    /** Nearest to the centroid first. */
    public val sentences: List<TopicSentence> = reply.list { TopicSentence(reply) }
}

/** What a store is about, the largest topic first. */
public class Topics internal constructor(reply: Reply) {
    /** Grouped. */
    public val chunks: Long = reply.long()

    /** Without a vector yet: left out. */
    public val pending: Long = reply.long()
    public val documents: Long = reply.long()
    public val iterations: Int = reply.int()
    public val readMillis: Long = reply.long()
    public val clusterMillis: Long = reply.long()
    public val describeMillis: Long = reply.long()
    public val topics: List<Topic> = reply.list { Topic(reply) }
}
