// A jar with the native libraries inside, under /native/<system>-<processor>/, where NativeLoader looks.
// Give the folder that holds such folders: gradle :jvm:jar -Psatchel.native=/path
plugins {
    kotlin("jvm")
    `maven-publish`
}

kotlin {
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
