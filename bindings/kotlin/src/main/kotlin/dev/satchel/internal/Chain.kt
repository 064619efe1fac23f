// Lists whose elements are their own links: a call that is put on one and taken off again touches nothing else.
package dev.satchel.internal

/** An element of at most one list at a time: a list is its first element, or null. */
internal interface Link<L : Link<L>> {
    /** What was there before it. */
    var next: L?
}

/** The list without [link], which need not be in it. */
internal fun <L : Link<L>> L?.without(link: L): L? {
    if (this === link) return link.next
    var before = this
    while (before != null && before.next !== link) before = before.next
    before?.next = link.next
    return this
}

/** Its elements, the last that was added first. */
internal fun <L : Link<L>> L?.links(): Sequence<L> = generateSequence(this) { it.next }
