#include "claim.hpp"

#include "text.hpp"

namespace timeshard {
namespace {

constexpr std::string_view kSpaces = " \t\n\r\f\v";

/// The text from `start` on, which is within it.
std::string_view From(std::string_view text, std::size_t start)
{
    text.remove_prefix(start);
    return text;
}

/// The user part of a URI, before the @ of its authority, can hold a password behind a
/// colon.
bool UserCarriesPassword(std::string_view uri)
{
    const std::string_view rest = From(uri, uri.find("://") + 3);
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
    const std::size_t at = authority.rfind('@');
    return at != std::string_view::npos &&
           authority.substr(0, at).find(':') != std::string_view::npos;
}

bool ParseNumber(std::string_view text, std::int32_t max, std::int32_t *number)
{
    std::int64_t value;
    if (!ParseInteger(text, &value) || value < 0 || value > max)
        return false;
    *number = static_cast<std::int32_t>(value);
    return true;
}

} // namespace

std::optional<NumberRange> ParseNumberRange(std::string_view text, std::int32_t max)
{
    const std::size_t dash = text.find('-');
    NumberRange range{};
    if (!ParseNumber(text.substr(0, dash), max, &range.first))
        return std::nullopt;
    range.last = range.first;
    if (dash != std::string_view::npos && !ParseNumber(From(text, dash + 1), max, &range.last))
        return std::nullopt;
    return range.last >= range.first ? std::optional(range) : std::nullopt;
}

bool CarriesPassword(std::string_view conninfo)
{
    if ((conninfo.starts_with("postgresql://") || conninfo.starts_with("postgres://")) &&
        UserCarriesPassword(conninfo))
        return true;
    // "password" and "sslpassword", with spaces before the equals sign or none.
    constexpr std::string_view kKeyword = "password";
    for (std::size_t at = conninfo.find(kKeyword); at != std::string_view::npos;
         at = conninfo.find(kKeyword, at + 1)) {
        const std::size_t next = conninfo.find_first_not_of(kSpaces, at + kKeyword.size());
        if (next != std::string_view::npos && conninfo[next] == '=')
            return true;
    }
    return false;
}

} // namespace timeshard
