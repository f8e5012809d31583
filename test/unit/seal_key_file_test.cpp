/// The file with the keys of public codes: what is one, and what is not.

#include "seal_key_file.hpp"

#include <cstring>
#include <string>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using Error = SealKeyFileError;

const std::string kHex = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
const std::string kOther(64, 'f');

SealKeyFile Parsed(const std::string &content)
{
    SealKeyFile file;
    ParseSealKeyFile(content, &file);
    return file;
}

TEST(SealKeyFile, ReadsOneKey)
{
    for (const char *end : {"\n", "\r\n", "\r", ""}) {
        const SealKeyFile file = Parsed("2 " + kHex + end);
        EXPECT_EQ(file.error, Error::kNone) << end;
        ASSERT_EQ(file.count, 1U);
        EXPECT_EQ(file.keys[0].number, 2U);
        for (unsigned i = 0; i < kSealKeyBytes; i++)
            EXPECT_EQ(file.keys[0].bytes[i], i % 16 * 0x11);
    }
    EXPECT_EQ(Parsed("2\t  " + kHex).count, 1U);
}

TEST(SealKeyFile, KeepsTheOrder)
{
    const SealKeyFile file =
        Parsed("3 " + kHex + "\n0 " + kOther + "\r\n2 " + kHex + "\n1 " + kOther);
    EXPECT_EQ(file.error, Error::kNone);
    ASSERT_EQ(file.count, 4U);
    EXPECT_EQ(file.keys[0].number, 3U);
    EXPECT_EQ(file.keys[1].number, 0U);
    EXPECT_EQ(file.keys[2].number, 2U);
    EXPECT_EQ(file.keys[3].number, 1U);
    EXPECT_EQ(file.keys[1].bytes[31], 0xff);
}

TEST(SealKeyFile, RefusesTheRest)
{
    EXPECT_EQ(Parsed("").error, Error::kEmpty);
    const std::string wrong[] = {
        "\n",
        " ",
        "0",
        "0 ",
        "0" + kHex,
        " 0 " + kHex,
        "4 " + kHex,
        "-1 " + kHex,
        "00 " + kHex,
        "a " + kHex,
        kHex,
        "0 " + kHex.substr(1),
        "0 " + kHex + "0",
        "0 " + kHex + " ",
        "0 " + kHex.substr(1) + "g",
        "0 " + kHex.substr(1) + std::string(1, '\0'),
        "0 0x" + kHex.substr(2),
        "\xef\xbb\xbf"
        "0 " +
            kHex,
        "# keys\n0 " + kHex,
        "0:" + kHex,
        std::string(1024, '0'),
        std::string(1024, '\0'),
    };
    for (const std::string &content : wrong) {
        const SealKeyFile file = Parsed(content);
        EXPECT_EQ(file.error, Error::kLine) << content;
        EXPECT_EQ(file.line, 1);
    }
}

TEST(SealKeyFile, NamesTheLine)
{
    const std::string first = "0 " + kHex + "\n";
    SealKeyFile file = Parsed(first + "\n");
    EXPECT_EQ(file.error, Error::kLine);
    EXPECT_EQ(file.line, 2);
    file = Parsed(first + "1 " + kOther + "\n0 " + kOther + "\n");
    EXPECT_EQ(file.error, Error::kRepeated);
    EXPECT_EQ(file.line, 3);
}

TEST(SealKeyFile, HasAtMostFourKeys)
{
    std::string content;
    for (int number = 0; number < 4; number++)
        content += std::to_string(number) + " " + kHex + "\r\n";
    EXPECT_EQ(Parsed(content).count, kMaxSealKeys);
    EXPECT_LT(content.size(), kMaxSealKeyFile);
    for (const char *number : {"0", "1", "2", "3", "4"}) {
        const SealKeyFile file = Parsed(content + number + " " + kHex + "\n1 " + kHex);
        EXPECT_NE(file.error, Error::kNone);
        EXPECT_EQ(file.line, 5);
    }
}

} // namespace
