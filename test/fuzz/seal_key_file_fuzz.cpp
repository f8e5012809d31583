/// ParseSealKeyFile. The input is the file's content; "|" stands for a line feed and "~"
/// for a carriage return, since a seed is one line.

#include "fuzz.hpp"
#include "seal_key_file.hpp"

#include <set>
#include <vector>

namespace timeshard::fuzz {
namespace {

Answers<5> answers({"one-key", "more-keys", "no-key", "bad-line", "number-twice"});

enum Answer { kOneKey, kMoreKeys, kNoKey, kBadLine, kNumberTwice };

struct Reading
{
    Answer answer;
    std::size_t line = 0;
    std::vector<std::pair<char, std::string>> keys{}; ///< numbers and lower-case digits
};

/// The rule put down a second time, by splitting strings.
Reading Reference(std::string content)
{
    Reading reading{kNoKey};
    std::set<char> numbers;
    if (!content.empty() && content.back() != '\n')
        content += '\n';
    for (std::size_t end; (end = content.find('\n')) != content.npos; content.erase(0, end + 1)) {
        std::string line = content.substr(0, end);
        reading.line++;
        if (line.ends_with('\r'))
            line.pop_back();
        const std::size_t gap = line.find_first_of(" \t");
        const std::size_t key = line.find_first_not_of(" \t", gap);
        if (gap != 1 || line.find_first_of("0123") != 0 || key == line.npos ||
            line.size() - key != 64 ||
            line.find_first_not_of("0123456789abcdefABCDEF", key) != line.npos) {
            reading.answer = kBadLine;
            return reading;
        }
        if (!numbers.insert(line[0]).second) {
            reading.answer = kNumberTwice;
            return reading;
        }
        std::string digits = line.substr(key);
        for (char &digit : digits)
            digit = static_cast<char>(digit >= 'A' && digit <= 'F' ? digit + 32 : digit);
        reading.keys.emplace_back(line[0], digits);
        reading.answer = reading.keys.size() == 1 ? kOneKey : kMoreKeys;
    }
    return reading;
}

Answer AnswerOf(const SealKeyFile &file)
{
    switch (file.error) {
    case SealKeyFileError::kEmpty:
        return kNoKey;
    case SealKeyFileError::kLine:
        return kBadLine;
    case SealKeyFileError::kRepeated:
        return kNumberTwice;
    case SealKeyFileError::kNone:
        break;
    }
    return file.count == 1 ? kOneKey : kMoreKeys;
}

std::string Hex(const SealKey &key)
{
    std::string hex;
    for (const std::uint8_t byte : key.bytes) {
        hex += "0123456789abcdef"[byte >> 4];
        hex += "0123456789abcdef"[byte & 15];
    }
    return hex;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    std::string content(Input(data, size).Rest());
    for (char &c : content)
        c = c == '|' ? '\n' : c == '~' ? '\r' : c;
    const Reading expected = Reference(content);
    SealKeyFile file;
    ParseSealKeyFile(ExactText(content), &file);

    answers.NextInput();
    answers.Count(expected.answer);
    Require(AnswerOf(file) == expected.answer, "agrees what is a key file", {content});
    if (file.error != SealKeyFileError::kNone && file.error != SealKeyFileError::kEmpty)
        Require(static_cast<std::size_t>(file.line) == expected.line, "names the line", {content});
    if (file.error != SealKeyFileError::kNone)
        return 0;
    Require(file.count == expected.keys.size() && file.count <= kMaxSealKeys, "as many keys",
            {content});
    for (std::size_t i = 0; i < file.count; i++)
        Require(static_cast<char>('0' + file.keys[i].number) == expected.keys[i].first &&
                    Hex(file.keys[i]) == expected.keys[i].second,
                "the keys in their order", {content});
    return 0;
}

} // namespace timeshard::fuzz
