// A jar with the native libraries inside, under /native/<system>-<processor>/, where NativeLoader looks.
// Give the folder that holds such folders: gradle :jvm:jar -Psatchel.native=/path
import org.jetbrains.kotlin.gradle.dsl.JvmDefaultMode
import org.jetbrains.kotlin.gradle.dsl.JvmTarget
import org.jetbrains.kotlin.gradle.dsl.KotlinVersion

plugins {
    kotlin("jvm")
    `maven-publish`
}

kotlin {
    explicitApi()
    compilerOptions {
        // Projects two Kotlin versions behind can read what is published.
        languageVersion.set(KotlinVersion.KOTLIN_2_2)
        apiVersion.set(KotlinVersion.KOTLIN_2_2)
        jvmTarget.set(JvmTarget.JVM_1_8)
        jvmDefault.set(JvmDefaultMode.NO_COMPATIBILITY)
    }
    // An older library than the compiler's: what depends on this need not take a newer one.
    coreLibrariesVersion = "2.2.0"
    sourceSets["main"].kotlin.srcDir("../src/main/kotlin")
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
    withSourcesJar()
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-core:1.10.2")
}

tasks.named<ProcessResources>("processResources") {
    providers.gradleProperty("satchel.native").orNull?.let { folder -> from(folder) { into("native") } }
    from("../android/consumer-rules.pro") {
        into("META-INF/proguard")
        rename { "satchel.pro" }
    }
}

publishing {
    publications.create<MavenPublication>("jar") {
        artifactId = "satchel-jvm"
        from(components["java"])
    }
}
