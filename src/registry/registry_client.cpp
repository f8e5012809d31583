#include "registry_client.hpp"

#include "../core/clock.hpp"
#include "../core/text.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "../server/postgres.hpp"

#include "libpq.hpp"
#include "registry_hosts.hpp"

namespace timeshard {
namespace {

/// Copies an error of libpq's or the registry's, without the line breaks.
void SetMessage(Answer *answer, const char *text)
{
    strlcpy(answer->message, text, sizeof(answer->message));
    std::size_t size = std::strlen(answer->message);
    while (size > 0 && std::strchr("\n .", answer->message[size - 1]) != nullptr)
        answer->message[--size] = '\0';
    std::replace(answer->message, answer->message + size, '\n', ' ');
    // It may be in another encoding than the database that shows it, or cut in a character.
    std::replace_if(
        answer->message, answer->message + size,
        [](char c) { return static_cast<signed char>(c) < 0; }, '?');
}

Answer Failed(Outcome outcome, const char *text)
{
    Answer answer{};
    answer.outcome = outcome;
    SetMessage(&answer, text);
    return answer;
}

/// No answer, though what was asked may have been done.
Answer Lost(Outcome outcome, const char *text)
{
    Answer answer = Failed(outcome, text);
    answer.lost = true;
    return answer;
}

/// Waits for the socket or the process's latch. False if it is time to give up, and
/// `failure` says why.
class Waiting
{
public:
    Waiting(std::int64_t deadline_ns, bool interruptible)
        : deadline_ns_(deadline_ns), interruptible_(interruptible)
    {}

    bool For(int events, PGconn *connection)
    {
        const std::int64_t rest_ns = deadline_ns_ - MonotonicNanoseconds();
        if (interruptible_ && ShutdownRequestPending != 0) {
            failure = Outcome::kInterrupted;
            return false;
        }
        if (rest_ns <= 0) {
            failure = Outcome::kUnreachable;
            return false;
        }
        const int latch = WaitLatchOrSocket(
            MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT | events, PQsocket(connection),
            static_cast<long>(rest_ns / 1000000 + 1), PG_WAIT_EXTENSION);
        if ((latch & WL_LATCH_SET) != 0)
            ResetLatch(MyLatch);
        return true;
    }

    Outcome failure = Outcome::kUnreachable;

private:
    std::int64_t deadline_ns_;
    bool interruptible_;
};

void IgnoreNotice(void *, const PGresult *) {}

/// Connects. libpq says in which way it waits for the socket.
bool Connect(const char *conninfo, Waiting &waiting, PGconn **connection, Answer *answer)
{
    PGconn *const raw = *connection = StartConnection(conninfo);
    if (raw == nullptr || PQstatus(raw) == CONNECTION_BAD) {
        *answer =
            Failed(Outcome::kUnreachable, raw != nullptr ? PQerrorMessage(raw) : "out of memory");
        return false;
    }
    PQsetNoticeReceiver(raw, IgnoreNotice, nullptr);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        const int events =
            status == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE;
        if (!waiting.For(events, raw)) {
            if (waiting.failure == Outcome::kUnreachable)
                NoteMuteHost();
            *answer = Failed(waiting.failure, "no connection in time");
            return false;
        }
        status = PQconnectPoll(raw);
        if (status == PGRES_POLLING_FAILED) {
            *answer = Failed(Outcome::kUnreachable, PQerrorMessage(raw));
            return false;
        }
    }
    return true;
}

/// The answer's last result, once the server is ready for the next statement: then the
/// transaction has committed. Null if it is time to give up or the connection is lost.
PGresult *AwaitResult(Waiting &waiting, PGconn *raw)
{
    PGresult *last = nullptr;
    for (;;) {
        const int unsent = PQflush(raw);
        while (unsent == 0 && !PQisBusy(raw)) {
            PGresult *next = PQgetResult(raw);
            if (next == nullptr)
                return last;
            PQclear(last);
            last = next;
        }
        const int events = WL_SOCKET_READABLE | (unsent > 0 ? WL_SOCKET_WRITEABLE : 0);
        if (unsent < 0 || !waiting.For(events, raw) || PQconsumeInput(raw) == 0) {
            PQclear(last);
            return nullptr;
        }
    }
}

Outcome OutcomeOf(const char *word)
{
    struct Word
    {
        const char *word;
        Outcome outcome;
    };
    constexpr Word kWords[] = {
        {"claimed", Outcome::kClaimed},
        {"extended", Outcome::kExtended},
        {"confirmed", Outcome::kConfirmed},
        {"ended", Outcome::kEnded},
        {"kept", Outcome::kKept},
        {"not_yours", Outcome::kNotYours},
        {"none_free", Outcome::kNoneFree},
        {"clocks_differ", Outcome::kRefused},
        {"layout_differs", Outcome::kRefused},
    };
    for (const Word &known : kWords)
        if (std::strcmp(word, known.word) == 0)
            return known.outcome;
    return Outcome::kError;
}

/// A column's text, empty if it is null or not there.
const char *Text(const PGresult *row, const char *column)
{
    const int number = PQfnumber(row, column);
    return number < 0 ? "" : PQgetvalue(row, 0, number);
}

/// A column's number, -1 if there is none.
std::int64_t Number(const PGresult *row, const char *column)
{
    std::int64_t value;
    return ParseInteger(Text(row, column), &value) ? value : -1;
}

/// True if the answer has what its outcome needs.
bool IsWhole(const Answer &answer)
{
    const bool grants = answer.outcome == Outcome::kClaimed || answer.outcome == Outcome::kExtended;
    if (grants && (answer.interval.number < 0 || answer.interval.floor < 0 ||
                   answer.interval.end <= 0 || answer.interval.end > kMaxOffset + 1))
        return false;
    return (!grants && answer.outcome != Outcome::kConfirmed) || answer.proof[0] != '\0';
}

Answer ReadRow(const PGresult *row)
{
    if (PQntuples(row) != 1)
        return Lost(Outcome::kError, "the registry's answer is not one row");
    Answer answer{};
    answer.outcome = OutcomeOf(Text(row, "outcome"));
    answer.interval = {static_cast<std::int32_t>(Number(row, "node_id")),
                       Number(row, "first_offset"), Number(row, "end_offset")};
    answer.free_at = std::max<std::int64_t>(Number(row, "free_at"), 0);
    strlcpy(answer.proof, Text(row, "proof"), sizeof(answer.proof));
    SetMessage(&answer, Text(row, "message"));
    if (answer.outcome == Outcome::kError || !IsWhole(answer))
        return Lost(Outcome::kError, "the registry's answer is not understood");
    return answer;
}

Answer ReadResult(const PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        return ReadRow(result);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *text = primary != nullptr ? primary : PQresultErrorMessage(result);
    // An error that the client library made has no SQLSTATE: the connection was lost.
    if (PQresultErrorField(result, PG_DIAG_SQLSTATE) == nullptr)
        return Lost(Outcome::kUnreachable, text);
    // An ERROR undoes the transaction. What ends the session can come after the commit.
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const bool undone = severity != nullptr && std::strcmp(severity, "ERROR") == 0;
    return undone ? Failed(Outcome::kError, text) : Lost(Outcome::kError, text);
}

Answer Ask(const char *conninfo, const char *statement, int count, const char *const *parameters,
           Waiting waiting, PGconn **connection)
{
    Answer answer{};
    if (!Connect(conninfo, waiting, connection, &answer))
        return answer;
    PGconn *const raw = *connection;
    if (PQsetnonblocking(raw, 1) != 0 ||
        PQsendQueryParams(raw, statement, count, nullptr, parameters, nullptr, nullptr, 0) == 0)
        return Lost(Outcome::kUnreachable, PQerrorMessage(raw));
    PGresult *result = AwaitResult(waiting, raw);
    if (result == nullptr) {
        const char *error = PQerrorMessage(raw);
        return Lost(waiting.failure, error[0] != '\0' ? error : "no answer in time");
    }
    answer = ReadResult(result);
    PQclear(result);
    return answer;
}

} // namespace

void LimitNameResolution()
{
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
}

Answer AskRegistry(const char *conninfo, const char *statement, int count,
                   const char *const *parameters, std::int64_t deadline_ns, bool interruptible)
{
    if (conninfo[0] == '\0') // libpq would take a default
        return Failed(Outcome::kError, "timeshard.registry is not set");
    PGconn *connection = nullptr;
    const Answer answer = Ask(conninfo, statement, count, parameters,
                              Waiting(deadline_ns, interruptible), &connection);
    PQfinish(connection);
    return answer;
}

} // namespace timeshard
