// The native methods. Each takes a request and gives a reply, both bytes: see jni/bridge.h.
package dev.satchel.internal

import dev.satchel.NativeLoader

/** A native method, to be given to [Request.send]. */
internal fun interface NativeMethod {
    /** [request] is filled up to [length]; [data] is a byte[], a float[] or a direct buffer. */
    fun call(request: ByteArray, length: Int, data: Any?, callback: Callback?): ByteArray
}

/** What jni/jni.c registers, under these names. Using it loads the library. */
internal object Native {
    init {
        NativeLoader.load()
    }

    @JvmStatic external fun version(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun versionAtLeast(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun hasFeature(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun statusName(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun promptDefault(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun contextOpen(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun contextClose(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun contextInfo(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun contextClearCache(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun callbackRelease(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun cancelOpen(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun cancelFire(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun cancelFired(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun cancelClose(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun ggufRead(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun kmeansDefaultK(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun kmeans(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun kmeansAssign(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelOpen(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelFromEmbedder(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelFromGenerator(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelClose(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelInfo(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelMeasure(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelEmbed(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelTokenize(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelToken(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelDetokenize(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelLogits(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun modelPerplexity(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun generate(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun chat(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeOpen(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeClose(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeAddReader(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeAddText(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeAddBytes(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeAddFd(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeRemove(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeSync(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeRoots(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeMaintain(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeStats(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeVerify(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeBackup(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeList(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeText(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun storeTopics(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun search(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun ask(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun askPrepare(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun preparedResolve(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun preparedClose(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun streamNext(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
    @JvmStatic external fun streamClose(request: ByteArray, length: Int, data: Any?, call: Callback?): ByteArray
}
