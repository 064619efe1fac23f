plugins {
    kotlin("jvm") version "2.2.21" apply false
    kotlin("android") version "2.2.21" apply false
    id("com.android.library") version "8.7.3" apply false
}

allprojects {
    group = "dev.satchel"
    version = "0.1.0"
}
