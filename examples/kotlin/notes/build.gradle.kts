plugins {
    id("com.android.application") version "8.7.3"
    kotlin("android") version "2.2.21"
    kotlin("plugin.compose") version "2.2.21"
}

android {
    namespace = "dev.satchel.notes"
    compileSdk = 35
    defaultConfig {
        applicationId = "dev.satchel.notes"
        minSdk = 24
        targetSdk = 35
        versionCode = 1
        versionName = "1"
    }
    buildFeatures { compose = true }
}

dependencies {
    implementation("dev.satchel:satchel-android:0.1.0")
    implementation(platform("androidx.compose:compose-bom:2024.12.01"))
    implementation("androidx.activity:activity-compose:1.9.3")
    implementation("androidx.compose.material3:material3")
    implementation("androidx.lifecycle:lifecycle-viewmodel-compose:2.8.7")
}
