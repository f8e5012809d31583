// A client session that takes IDs without pause, through whatever befalls the
// server, and logs each ID that it was given: what was returned counts, whether
// it was committed or not.
//
//   usage: fault_writer CONNINFO LOG SEED KINDS PAUSE_US
//
// KINDS, separated by commas, are drawn from at random: rows (20 in an INSERT
// that is a transaction), row (one), commit and rollback (two INSERTs in a
// transaction), one and many (IDs that go into no table), reconnect (now and
// then). Ends on SIGTERM, after the call that it is in; a call that lasts
// another 5 s is left alone, a second SIGTERM leaves it at once.
//
// The log, a line each, times in ns on a clock that nobody sets:
//
//   O time pid                   connected to this backend
//   I kind txn start end id...   a call returned these IDs, in this order; kind is
//                                n: for no table, c: committed, u: perhaps
//                                committed, t: in transaction txn
//   S txn                        COMMIT of txn is sent
//   K txn                        COMMIT of txn has returned
//   E time SQLSTATE message      an error; 08006 also for a lost connection
//   X time                       the end
#include <libpq-fe.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace {

constexpr int64_t kGraceNs = 5'000'000'000;

volatile sig_atomic_t stops_asked = 0;
int log_fd = -1;

int64_t Now()
{
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

void Sleep(int64_t us)
{
    timespec time{us / 1'000'000, us % 1'000'000 * 1000};
    nanosleep(&time, nullptr);
}

// One write a line: a log that is read meanwhile ends in a whole line.
void Log(std::string line)
{
    line += '\n';
    if (write(log_fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        perror("fault_writer: cannot write the log");
        _exit(3);
    }
}

void LogError(const char *sqlstate, std::string message)
{
    while (!message.empty() && message.back() == '\n')
        message.pop_back();
    std::replace(message.begin(), message.end(), '\n', ' ');
    Log("E " + std::to_string(Now()) + ' ' + sqlstate + ' ' + message);
}

class Session
{
public:
    explicit Session(const char *conninfo) : conninfo_(conninfo) {}
    ~Session() { Disconnect(); }

    bool Connected() const { return connection_ != nullptr; }

    bool Connect()
    {
        connection_ = PQconnectdb(conninfo_);
        if (PQstatus(connection_) == CONNECTION_OK) {
            Log("O " + std::to_string(Now()) + ' ' + std::to_string(PQbackendPID(connection_)));
            return true;
        }
        LogError("08006", PQerrorMessage(connection_));
        Disconnect();
        return false;
    }

    void Disconnect()
    {
        PQfinish(connection_);
        connection_ = nullptr;
    }

    // Runs a statement and logs the IDs that came, though an error may follow.
    bool Run(const char *sql, char kind, int64_t transaction = 0)
    {
        std::vector<std::string> ids;
        const int64_t start = Now();
        const bool ok = Send(sql) && Receive(ids);
        const int64_t end = Now();
        if (!ids.empty()) {
            std::string line = "I ";
            line += kind == 'c' && !ok ? 'u' : kind;
            for (int64_t number : {transaction, start, end})
                line += ' ' + std::to_string(number);
            for (const std::string &id : ids)
                line += ' ' + id;
            Log(std::move(line));
        }
        if (connection_ != nullptr && PQstatus(connection_) == CONNECTION_BAD)
            Disconnect();
        return ok;
    }

    bool RunTransaction(const char *first, const char *second, bool commit, int64_t transaction)
    {
        const std::string number = std::to_string(transaction);
        bool ok = Run("BEGIN", 't');
        ok = ok && Run(first, 't', transaction) && Run(second, 't', transaction);
        if (ok && commit) {
            Log("S " + number);
            ok = Run("COMMIT", 't');
            if (ok)
                Log("K " + number);
        } else if (Connected())
            Run("ROLLBACK", 't');
        return ok;
    }

private:
    bool Send(const char *sql)
    {
        // Row by row, so that rows count which came before a connection was lost.
        if (PQsendQuery(connection_, sql) && PQsetSingleRowMode(connection_))
            return true;
        LogError("08006", PQerrorMessage(connection_));
        return false;
    }

    bool Receive(std::vector<std::string> &ids)
    {
        bool ok = true;
        while (true) {
            while (PQisBusy(connection_)) {
                if (!AwaitInput())
                    return false;
                if (!PQconsumeInput(connection_))
                    break; // the next result tells of it
            }
            PGresult *result = PQgetResult(connection_);
            if (result == nullptr)
                return ok;
            const ExecStatusType status = PQresultStatus(result);
            if (status == PGRES_SINGLE_TUPLE)
                ids.push_back(PQgetvalue(result, 0, 0));
            else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
                const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
                const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
                LogError(sqlstate ? sqlstate : "08006",
                         primary ? primary : PQresultErrorMessage(result));
                ok = false;
            }
            PQclear(result);
        }
    }

    bool AwaitInput()
    {
        pollfd wait{PQsocket(connection_), POLLIN, 0};
        while (true) {
            if (poll(&wait, 1, 100) > 0)
                return true;
            if (stops_asked > 0 && stop_seen_ == 0)
                stop_seen_ = Now();
            if (stops_asked > 1 || (stop_seen_ > 0 && Now() - stop_seen_ > kGraceNs)) {
                LogError("stuck", "the call has not returned");
                Disconnect();
                return false;
            }
        }
    }

    const char *conninfo_;
    PGconn *connection_ = nullptr;
    int64_t stop_seen_ = 0;
};

constexpr char kRow[] = "INSERT INTO fault_rows DEFAULT VALUES RETURNING id";
constexpr char kRows[] =
    "INSERT INTO fault_rows (filler) SELECT g FROM generate_series(1, 20) g RETURNING id";
constexpr char kOne[] = "SELECT timeshard_next_id()";
constexpr char kMany[] = "SELECT timeshard_next_id() FROM generate_series(1, 200)";

} // namespace

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sigaction action = {};
    action.sa_handler = [](int) { stops_asked = stops_asked + 1; };
    sigaction(SIGTERM, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);

    log_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        return 3;

    std::mt19937 random(static_cast<unsigned>(atoi(argv[3])));
    std::vector<std::string> kinds;
    for (char *kind = strtok(argv[4], ","); kind != nullptr; kind = strtok(nullptr, ","))
        kinds.push_back(kind);
    const int64_t pause_us = atoll(argv[5]);

    Session session(argv[1]);
    for (int64_t call = 1; stops_asked == 0; call++) {
        if (!session.Connected() && !session.Connect()) {
            Sleep(10'000);
            continue;
        }
        const std::string &kind = kinds[random() % kinds.size()];
        bool ok = true;
        if (kind == "rows")
            ok = session.Run(kRows, 'c');
        else if (kind == "row")
            ok = session.Run(kRow, 'c');
        else if (kind == "commit" || kind == "rollback")
            ok = session.RunTransaction(kRows, kRow, kind == "commit", call);
        else if (kind == "one")
            ok = session.Run(kOne, 'n');
        else if (kind == "many")
            ok = session.Run(kMany, 'n');
        else if (kind != "reconnect")
            return 2;
        else if (random() % 20 == 0)
            session.Disconnect();
        // A server that refuses everything is asked often, but not in a busy loop.
        if (!ok)
            Sleep(5000);
        if (pause_us > 0)
            Sleep(pause_us);
    }
    Log("X " + std::to_string(Now()));
    return 0;
}
