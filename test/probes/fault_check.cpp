// Reads what fault_writer logged, of any number of sessions, and looks for what
// must not be: an ID returned twice, IDs out of order, committed rows lost, an
// ID in the table that was given to somebody else.
//
//   usage: fault_check [--no-order | --apart MS] [--table FILE] LOG...
//
// --apart: only calls that are so far apart must have IDs in order, as those of
// servers whose clocks differ.
// FILE holds the IDs of the table, one a line. The first 10 violations of each
// kind are told, all are counted; fields are separated by tabs.
#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Call
{
    int log;
    char kind;
    int64_t transaction, start, end, least, greatest;
};

struct Id
{
    int64_t value;
    uint32_t call;
};

std::vector<const char *> log_names;
std::vector<Call> calls;
std::vector<Id> ids;
std::set<std::pair<int, int64_t>> sent, committed; // (log, transaction)
std::map<std::string, int64_t> errors;
std::map<std::string, std::map<std::string, std::string>> messages;
std::map<std::string, int64_t> violations;

__attribute__((format(printf, 2, 3))) void Violation(const char *kind, const char *format, ...)
{
    if (++violations[kind] > 10)
        return;
    printf("violation\t%s\t", kind);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

std::string Name(const Call &call)
{
    char text[256];
    snprintf(text, sizeof text, "%s, a call from %.6f to %.6f s", log_names[call.log],
             call.start / 1e9, call.end / 1e9);
    return text;
}

bool ReadIds(int log, const char *at)
{
    Call call{log, *at++, 0, 0, 0, INT64_MAX, INT64_MIN};
    char *rest;
    int64_t *const fields[] = {&call.transaction, &call.start, &call.end};
    for (int64_t *field : fields) {
        *field = strtoll(at, &rest, 10);
        if (rest == at)
            return false;
        at = rest;
    }
    bool rises = true;
    while (*at != '\0') {
        const int64_t value = strtoll(at, &rest, 10);
        if (rest == at || value <= 0)
            return false;
        at = rest;
        rises = rises && value > call.greatest;
        call.least = std::min(call.least, value);
        call.greatest = std::max(call.greatest, value);
        ids.push_back({value, static_cast<uint32_t>(calls.size())});
    }
    if (call.least == INT64_MAX || !strchr("ncut", call.kind) || call.start >= call.end)
        return false;
    if (!rises)
        Violation("order_in_call", "%s: its IDs do not rise", Name(call).c_str());
    calls.push_back(call);
    return true;
}

// Messages that differ in numbers alone are one.
void ReadError(const std::string &line)
{
    const size_t from = line.find(' ', 2) + 1, to = line.find(' ', from);
    const std::string sqlstate = line.substr(from, to - from);
    const std::string message = to == std::string::npos ? "" : line.substr(to + 1);
    errors[sqlstate]++;
    std::string pattern;
    for (char c : message)
        if (c < '0' || c > '9')
            pattern += c;
    messages[sqlstate].emplace(pattern, message);
    if (sqlstate == "23505")
        Violation("primary_key", "%s", message.c_str());
}

bool ReadLog(int log)
{
    std::ifstream in(log_names[log]);
    if (!in)
        return false;
    std::string line;
    while (std::getline(in, line)) {
        bool good = line.size() > 2 && line[1] == ' ';
        if (good && line[0] == 'I')
            good = ReadIds(log, line.c_str() + 2);
        else if (good && line[0] == 'E')
            ReadError(line);
        else if (good && line[0] == 'S')
            sent.insert({log, atoll(line.c_str() + 2)});
        else if (good && line[0] == 'K')
            committed.insert({log, atoll(line.c_str() + 2)});
        else
            good = good && (line[0] == 'O' || line[0] == 'X');
        if (!good)
            Violation("log", "%s has a bad line: %.80s", log_names[log], line.c_str());
    }
    return true;
}

void CheckUnique()
{
    std::sort(ids.begin(), ids.end(), [](const Id &a, const Id &b) { return a.value < b.value; });
    for (size_t i = 1; i < ids.size(); i++)
        if (ids[i].value == ids[i - 1].value)
            Violation("duplicate", "%" PRId64 ": %s; %s", ids[i].value,
                      Name(calls[ids[i - 1].call]).c_str(), Name(calls[ids[i].call]).c_str());
}

// A call that had returned, and so long ago, when another started has smaller IDs.
void CheckOrder(const std::vector<const Call *> &by_end, int64_t apart)
{
    std::vector<const Call *> by_start = by_end;
    std::sort(by_start.begin(), by_start.end(),
              [](const Call *a, const Call *b) { return a->start < b->start; });
    const Call *highest = nullptr;
    size_t ended = 0;
    for (const Call *call : by_start) {
        for (; ended < by_end.size() && by_end[ended]->end + apart < call->start; ended++)
            if (highest == nullptr || by_end[ended]->greatest > highest->greatest)
                highest = by_end[ended];
        if (highest != nullptr && highest->greatest >= call->least)
            Violation("order", "%" PRId64 " (%s) is not above %" PRId64 " (%s)", call->least,
                      Name(*call).c_str(), highest->greatest, Name(*highest).c_str());
    }
}

bool Committed(const Call &call)
{
    return call.kind == 'c' || (call.kind == 't' && committed.count({call.log, call.transaction}));
}

bool PerhapsCommitted(const Call &call)
{
    return call.kind == 'c' || call.kind == 'u' ||
           (call.kind == 't' && sent.count({call.log, call.transaction}));
}

bool CheckTable(const char *file)
{
    std::ifstream in(file);
    if (!in)
        return false;
    std::vector<int64_t> table;
    for (int64_t value; in >> value;)
        table.push_back(value);
    std::sort(table.begin(), table.end());
    printf("table\t%zu\n", table.size());

    for (const Id &id : ids) {
        const Call &call = calls[id.call];
        const bool is_there = std::binary_search(table.begin(), table.end(), id.value);
        if (!is_there && Committed(call))
            Violation("missing", "%" PRId64 " was committed: %s", id.value, Name(call).c_str());
        if (is_there && !PerhapsCommitted(call))
            Violation("duplicate", "%" PRId64 " is a row, but not of its taker: %s", id.value,
                      Name(call).c_str());
    }
    return true;
}

void PrintFigures(const std::vector<const Call *> &by_end)
{
    int64_t in_table = 0, pause = 0, pause_from = 0;
    for (const Id &id : ids)
        in_table += Committed(calls[id.call]);
    for (size_t i = 1; i < by_end.size(); i++)
        if (by_end[i]->end - by_end[i - 1]->end > pause) {
            pause_from = by_end[i - 1]->end;
            pause = by_end[i]->end - pause_from;
        }
    printf("ids\t%zu\ncalls\t%zu\ncommitted\t%" PRId64 "\n", ids.size(), calls.size(), in_table);
    printf("largest_pause_ms\t%.3f\npause_from\t%.6f\n", pause / 1e6, pause_from / 1e9);
    if (!ids.empty())
        printf("least\t%" PRId64 "\ngreatest\t%" PRId64 "\nlast_end\t%.6f\n", ids.front().value,
               ids.back().value, by_end.back()->end / 1e9);
    for (const auto &[sqlstate, count] : errors)
        printf("error\t%s\t%" PRId64 "\n", sqlstate.c_str(), count);
    for (const auto &[sqlstate, patterns] : messages)
        for (const auto &[pattern, message] : patterns)
            printf("message\t%s\t%s\n", sqlstate.c_str(), message.c_str());
    for (const auto &[kind, count] : violations)
        printf("violations\t%s\t%" PRId64 "\n", kind.c_str(), count);
}

} // namespace

int main(int argc, char **argv)
{
    bool order = true;
    int64_t apart = 0;
    const char *table = nullptr;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-order") == 0)
            order = false;
        else if (strcmp(argv[i], "--apart") == 0 && i + 1 < argc)
            apart = atoll(argv[++i]) * 1'000'000;
        else if (strcmp(argv[i], "--table") == 0 && i + 1 < argc)
            table = argv[++i];
        else
            log_names.push_back(argv[i]);
    }
    for (size_t log = 0; log < log_names.size(); log++)
        if (!ReadLog(static_cast<int>(log)))
            return 2;

    std::vector<const Call *> by_end;
    for (const Call &call : calls)
        by_end.push_back(&call);
    std::sort(by_end.begin(), by_end.end(),
              [](const Call *a, const Call *b) { return a->end < b->end; });
    CheckUnique();
    if (order)
        CheckOrder(by_end, apart);
    if (table != nullptr && !CheckTable(table))
        return 2;
    PrintFigures(by_end);
    return 0;
}
