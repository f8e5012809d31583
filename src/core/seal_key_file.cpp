#include "seal_key_file.hpp"

namespace timeshard {
namespace {

int HexValue(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool IsBlank(char c)
{
    return c == ' ' || c == '\t';
}

bool ParseLine(std::string_view line, SealKey *key)
{
    if (line.size() < 2 || line[0] < '0' || line[0] >= '0' + static_cast<int>(kMaxSealKeys) ||
        !IsBlank(line[1]))
        return false;
    key->number = static_cast<unsigned>(line[0] - '0');
    line.remove_prefix(2);
    while (!line.empty() && IsBlank(line[0]))
        line.remove_prefix(1);
    if (line.size() != 2 * kSealKeyBytes)
        return false;
    for (std::size_t i = 0; i < kSealKeyBytes; i++) {
        const int high = HexValue(line[2 * i]);
        const int low = HexValue(line[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key->bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    }
    return true;
}

bool HasNumber(const SealKeyFile &file, unsigned number)
{
    for (std::size_t i = 0; i < file.count; i++)
        if (file.keys[i].number == number)
            return true;
    return false;
}

/// Adds the key of a line to the file. A fifth line is wrong in any case: its number is
/// that of one before.
SealKeyFileError AddLine(std::string_view line, SealKeyFile *file)
{
    SealKey &key = file->keys[file->count];
    if (!ParseLine(line, &key))
        return SealKeyFileError::kLine;
    if (HasNumber(*file, key.number))
        return SealKeyFileError::kRepeated;
    file->count++;
    return SealKeyFileError::kNone;
}

} // namespace

void ParseSealKeyFile(std::string_view content, SealKeyFile *file)
{
    while (!content.empty() && file->error == SealKeyFileError::kNone) {
        const std::size_t end = content.find('\n');
        std::string_view line = content.substr(0, end);
        content.remove_prefix(end == content.npos ? content.size() : end + 1);
        if (!line.empty() && line.back() == '\r')
            line.remove_suffix(1);
        file->line++;
        file->error = AddLine(line, file);
    }
    if (file->line == 0)
        file->error = SealKeyFileError::kEmpty;
}

} // namespace timeshard
