#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

/// Reads the tables of the manual, so that a page and the core cannot part.
namespace timeshard::test {

/// The cells of the page's table under the heading whose first cell is `first`.
inline std::vector<std::vector<std::string>> TableOfThePage(const std::string &first,
                                                            const std::string &page = "growth.md")
{
    std::ifstream in(std::filesystem::path(__FILE__).parent_path() / "../../doc" / page);
    std::vector<std::vector<std::string>> rows;

    bool within = false;
    for (std::string line; std::getline(in, line);) {
        if (!within || line.empty() || line[0] != '|') {
            within = line.rfind("| " + first + " |", 0) == 0;
            continue;
        }
        if (line.rfind("| -", 0) == 0)
            continue;
        rows.emplace_back();
        std::istringstream cells(line.substr(1));
        for (std::string cell; std::getline(cells, cell, '|');)
            rows.back().push_back(cell.substr(1, cell.size() - 2));
    }
    return rows;
}

/// A number with commas, or a percentage.
inline double Number(std::string text)
{
    text.erase(std::remove(text.begin(), text.end(), ','), text.end());
    return std::stod(text);
}

} // namespace timeshard::test
