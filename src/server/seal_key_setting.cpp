#include "seal_key_setting.hpp"

#include <cstring>

#include "compat.hpp"
#include "placeholder.hpp"

namespace timeshard {
namespace {

char *path = nullptr;
char *expected = nullptr; ///< the server's value before the definition
bool defined = false;     ///< the definition was begun
bool verified = false;    ///< after it, the value in force was the expected one

} // namespace

void CheckSealKeyFilePlaceholder()
{
    if (defined)
        return;
    const char *text = PlaceholderText(kSealKeyFileSetting);
    if (expected != nullptr)
        pfree(expected);
    expected = MemoryContextStrdup(TopMemoryContext, text != nullptr ? text : "");
}

void DefineSealKeyFile()
{
    if (!defined) {
        defined = true;
        DefineCustomStringVariable(
            kSealKeyFileSetting, "File with the keys of public codes.",
            "Only the server's user may read it. Each session reads it at its first public code "
            "and after a reload.",
            &path, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY | kAllowInParallel, nullptr, nullptr,
            nullptr);
        verified = std::strcmp(path, expected) == 0;
    }
    if (!verified)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("parameter \"%s\" could not be taken over from the server",
                               kSealKeyFileSetting),
                        errhint("Connect again.")));
}

const char *SealKeyFilePath()
{
    return path;
}

} // namespace timeshard
