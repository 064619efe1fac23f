// Two libraries of the same sources: a jar for the desktop and servers, an AAR for Android.
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}
dependencyResolutionManagement {
    repositories {
        google()
        mavenCentral()
    }
}
rootProject.name = "satchel"
include(":jvm", ":android")
