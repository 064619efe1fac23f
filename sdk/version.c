/* Version, features of this build, and the names of status codes. */
#include <string.h>

#include "base/status.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *satchel_version(void) {
    return TEXT(SATCHEL_VERSION_MAJOR) "." TEXT(SATCHEL_VERSION_MINOR) "." TEXT(
        SATCHEL_VERSION_PATCH);
}

int32_t satchel_version_at_least(int32_t major, int32_t minor, int32_t patch) {
    const int32_t have[3] = {SATCHEL_VERSION_MAJOR, SATCHEL_VERSION_MINOR, SATCHEL_VERSION_PATCH};
    const int32_t want[3] = {major, minor, patch};
    for (size_t i = 0; i < SAT_COUNT(have); i++)
        if (have[i] != want[i])
            return have[i] > want[i];
    return 1;
}

int32_t satchel_has_feature(const char *name) {
    /* One name per part that the build can leave out; SAT_FEATURES comes from sdk/meson.build. */
    static const char *const features[] = {SAT_FEATURES};
    if (!name)
        return 0;
    for (size_t i = 0; i < SAT_COUNT(features); i++)
        if (strcmp(name, features[i]) == 0)
            return 1;
    return 0;
}

const char *satchel_status_name(satchel_status status) {
    return sat_status_name(status);
}
