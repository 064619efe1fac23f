// What the jar and the AAR have in common.
import org.jetbrains.kotlin.gradle.dsl.JvmDefaultMode
import org.jetbrains.kotlin.gradle.dsl.JvmTarget
import org.jetbrains.kotlin.gradle.dsl.KotlinProjectExtension
import org.jetbrains.kotlin.gradle.dsl.KotlinVersion
import org.jetbrains.kotlin.gradle.plugin.KotlinBasePlugin
import org.jetbrains.kotlin.gradle.tasks.KotlinCompile

plugins {
    kotlin("jvm") version "2.2.21" apply false
    kotlin("android") version "2.2.21" apply false
    id("com.android.library") version "8.7.3" apply false
}

allprojects {
    group = "dev.satchel"
    version = "0.1.0"
}

subprojects {
    plugins.withType<KotlinBasePlugin> {
        extensions.configure<KotlinProjectExtension> {
            explicitApi()
            // An older library than the compiler's: what depends on this need not take a newer one.
            coreLibrariesVersion = "2.2.0"
        }
        tasks.withType<KotlinCompile>().configureEach {
            compilerOptions {
                // Projects two Kotlin versions behind can read what is published.
                languageVersion.set(KotlinVersion.KOTLIN_2_2)
                apiVersion.set(KotlinVersion.KOTLIN_2_2)
                jvmTarget.set(JvmTarget.JVM_1_8)
                jvmDefault.set(JvmDefaultMode.NO_COMPATIBILITY)
            }
        }
    }
}
