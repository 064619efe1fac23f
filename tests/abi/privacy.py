"""Apple's list of functions that an app must give reasons for, and what a privacy manifest says. Shared by
the ABI tests and the tests of the Swift package."""
import plistlib

CATEGORIES = {
    "NSPrivacyAccessedAPICategoryFileTimestamp":
        {"stat", "fstat", "fstatat", "lstat", "stat64", "fstat64", "fstatat64", "lstat64", "statx",
         "getattrlist", "fgetattrlist", "getattrlistat", "getattrlistbulk"},
    "NSPrivacyAccessedAPICategoryDiskSpace":
        {"statfs", "statvfs", "fstatfs", "fstatvfs", "statfs64", "fstatfs64", "statvfs64",
         "fstatvfs64"},
    "NSPrivacyAccessedAPICategorySystemBootTime": {"mach_absolute_time"},
}


def faults(manifest_path, imports):
    """What is wrong with a manifest for a library with these imports; "" if nothing."""
    needed = {category for category, names in CATEGORIES.items() if names & imports}
    with open(manifest_path, "rb") as file:
        manifest = plistlib.load(file)
    given = {entry["NSPrivacyAccessedAPIType"] for entry in manifest["NSPrivacyAccessedAPITypes"]
             if entry["NSPrivacyAccessedAPITypeReasons"]}
    if not imports:
        return "the library imports nothing: it was not read"
    if needed != given:
        return (f"imported, but not in the manifest: {sorted(needed - given)}\n"
                f"in the manifest, but not imported: {sorted(given - needed)}")
    if manifest["NSPrivacyTracking"] or manifest["NSPrivacyCollectedDataTypes"]:
        return "the manifest says that data is collected"
    return ""
