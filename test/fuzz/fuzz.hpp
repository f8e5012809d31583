#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include <sanitizer/asan_interface.h>

/// What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput;
/// what is wrong it says through Require, which ends the run.
namespace timeshard::fuzz {

inline bool HasDigit(std::string_view text)
{
    return text.find_first_of("0123456789") != text.npos;
}

inline bool HasOther(std::string_view text)
{
    return text.find_first_not_of("0123456789") != text.npos;
}

/// Prints the texts that broke a property, bytes that are not printable as \xNN.
/// libFuzzer then keeps the whole input.
[[noreturn]] inline void Fail(const char *property, std::initializer_list<std::string_view> texts)
{
    std::fprintf(stderr, "Broken: %s\n", property);
    for (const std::string_view text : texts) {
        std::fprintf(stderr, "  \"");
        for (const char c : text)
            if (c >= ' ' && c <= '~' && c != '"' && c != '\\')
                std::fputc(c, stderr);
            else
                std::fprintf(stderr, "\\x%02x", static_cast<unsigned char>(c));
        std::fprintf(stderr, "\"\n");
    }
    std::abort();
}

inline void Require(bool holds, const char *property,
                    std::initializer_list<std::string_view> texts = {})
{
    if (!holds)
        Fail(property, texts);
}

/// Text in a heap block of just its size, so that AddressSanitizer sees the first
/// byte that is read before or behind it. An empty text, too, has an address of
/// its own, at which nothing may be read.
class ExactText
{
public:
    explicit ExactText(std::string_view text)
        : size_(text.size()), bytes_(new char[size_ == 0 ? kBlock : size_])
    {
        if (size_ == 0)
            ASAN_POISON_MEMORY_REGION(bytes_.get(), kBlock);
        else
            std::memcpy(bytes_.get(), text.data(), size_);
    }

    operator std::string_view() const { return {bytes_.get(), size_}; }
    char *data() { return bytes_.get(); }

private:
    static constexpr std::size_t kBlock = 16;

    std::size_t size_;
    std::unique_ptr<char[]> bytes_;
};

/// Takes an input apart from the front; past its end there are zeros.
class Input
{
public:
    Input(const std::uint8_t *data, std::size_t size)
        : rest_(reinterpret_cast<const char *>(data), size)
    {}

    bool Empty() const { return rest_.empty(); }
    std::string_view Rest() const { return rest_; }

    std::uint8_t Byte()
    {
        const std::string_view byte = Text(1);
        return byte.empty() ? 0 : static_cast<std::uint8_t>(byte[0]);
    }

    /// A small number, written as a digit in a seed.
    std::uint8_t Count() { return static_cast<std::uint8_t>(Byte() - '0'); }

    std::uint64_t Number()
    {
        std::uint64_t number = 0;
        const std::string_view bytes = Text(sizeof number);
        std::memcpy(&number, bytes.data(), bytes.size());
        return number;
    }

    /// At most `size` bytes.
    std::string_view Text(std::size_t size)
    {
        const std::string_view text = rest_.substr(0, size);
        rest_.remove_prefix(text.size());
        return text;
    }

private:
    std::string_view rest_;
};

/// Counts the answers that a target saw, and ends a run with an error if one was
/// never seen: such a run has tested less than it seems. The seeds reach them
/// all. An input or two that are run again, to look into them, may see few. An
/// answer without a name is one that must not be given.
template <std::size_t N>
class Answers
{
public:
    explicit Answers(const std::array<const char *, N> &names) : names_(names) {}

    ~Answers()
    {
        constexpr std::uint64_t kFewInputs = 1000;
        bool all = true;
        std::fprintf(stderr, "Answers:");
        for (std::size_t i = 0; i < N; i++) {
            if (names_[i] == nullptr)
                continue;
            std::fprintf(stderr, " %s %llu", names_[i],
                         static_cast<unsigned long long>(counts_[i]));
            all = all && counts_[i] > 0;
        }
        std::fprintf(stderr, "\n");
        if (!all && inputs_ >= kFewInputs) {
            std::fprintf(stderr, "Broken: an answer was never seen\n");
            std::_Exit(EXIT_FAILURE);
        }
    }

    Answers(const Answers &) = delete;
    Answers &operator=(const Answers &) = delete;

    void NextInput() { inputs_++; }
    void Count(std::size_t answer)
    {
        Require(answer < N && names_[answer] != nullptr, "an answer that can be given");
        counts_[answer]++;
    }

private:
    std::array<const char *, N> names_;
    std::array<std::uint64_t, N> counts_{};
    std::uint64_t inputs_ = 0;
};

} // namespace timeshard::fuzz
