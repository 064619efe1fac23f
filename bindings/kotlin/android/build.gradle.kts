// An AAR with satchel_jni and the C library for arm64-v8a and x86_64. The C library comes built, one
// folder for each ABI with libsatchel.so in it: gradle :android:assembleRelease -Psatchel.libs=/path
// Apps that call C too find headers and library by prefab, as the package `satchel`.
plugins {
    id("com.android.library")
    kotlin("android")
    `maven-publish`
}

val libraries = providers.gradleProperty("satchel.libs").getOrElse("$projectDir/libs")

android {
    namespace = "dev.satchel"
    compileSdk = 35
    ndkVersion = "27.2.12479018"

    defaultConfig {
        minSdk = 24
        consumerProguardFiles("consumer-rules.pro")
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
        externalNativeBuild {
            cmake {
                arguments += listOf("-DANDROID_STL=none", "-DSATCHEL_LIBRARIES=$libraries")
                targets += "satchel_jni"
            }
        }
    }
    sourceSets["main"].kotlin.srcDir("../src/main/kotlin")
    sourceSets["main"].jniLibs.srcDir(libraries)
    externalNativeBuild { cmake { path = file("CMakeLists.txt") } }
    buildFeatures { prefabPublishing = true }
    prefab {
        create("satchel") {
            headers = "../../../sdk/include"
            libraryName = "libsatchel"
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    publishing { singleVariant("release") { withSourcesJar() } }
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.10.2")
}

afterEvaluate {
    publishing.publications.create<MavenPublication>("aar") {
        artifactId = "satchel-android"
        from(components["release"])
    }
}
