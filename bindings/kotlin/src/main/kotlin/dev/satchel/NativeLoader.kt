package dev.satchel

import java.io.File

/**
 * Loads the native library `satchel_jni`, once, at the first use of the package.
 *
 * It looks, in this order: where [use] says; in the folder that the system property
 * `dev.satchel.library.path` names; in the package's own jar, under `/native/<system>-<processor>/`;
 * where the system looks, which on Android is the app.
 */
public object NativeLoader {
    /** Loads the library of the given name by other means than the system's. */
    public fun interface Loader {
        /** Loads the library [name], `satchel_jni`; throws [UnsatisfiedLinkError] if it cannot. */
        public fun load(name: String)
    }

    private const val NAME = "satchel_jni"
    private var loader: Loader? = null
    private var loaded = false

    /** Lets [loader] load the library. To be called before anything else of the package. */
    @JvmStatic
    @Synchronized
    public fun use(loader: Loader) {
        check(!loaded) { "the native library is loaded already" }
        this.loader = loader
    }

    /** Loads the library unless it is loaded. Called by the package itself; early calls do no harm. */
    @JvmStatic
    @Synchronized
    public fun load() {
        if (loaded) return
        val given = loader
        val folder = System.getProperty("dev.satchel.library.path")
        when {
            given != null -> given.load(NAME)
            folder != null -> System.load(File(folder, System.mapLibraryName(NAME)).absolutePath)
            else -> unpacked()?.let { System.load(it.path) } ?: System.loadLibrary(NAME)
        }
        loaded = true
    }

    /** The library of the jar in a file of its own, with the C library beside it; null if there is none. */
    private fun unpacked(): File? {
        val system = System.getProperty("os.name").orEmpty().lowercase().substringBefore(' ')
        val processor = when (val name = System.getProperty("os.arch").orEmpty().lowercase()) {
            "amd64" -> "x86_64"
            "arm64" -> "aarch64"
            else -> name
        }
        val inside = "/native/$system-$processor/"
        val name = System.mapLibraryName(NAME)
        NativeLoader::class.java.getResource(inside + name) ?: return null
        val folder = File.createTempFile("satchel", "")
        if (!folder.delete() || !folder.mkdir()) throw UnsatisfiedLinkError("cannot make the folder $folder")
        folder.deleteOnExit()
        for (each in listOf("libsatchel.so.0", "libsatchel.0.dylib", name)) {
            val stream = NativeLoader::class.java.getResourceAsStream(inside + each) ?: continue
            val file = File(folder, each)
            file.deleteOnExit()
            stream.use { from -> file.outputStream().use { from.copyTo(it) } }
        }
        return File(folder, name)
    }
}
