// What the client programs share (fault_writer.cpp, event_writer.cpp, event_reader.cpp):
// a clock, a log, a session that outlives its connection, and the loop around them.
//
// A program takes CONNINFO and LOG first and runs until SIGTERM. Lines that every log
// has, times in ns on a clock that nobody sets:
//
//   O time pid                   connected to this backend
//   E time SQLSTATE message      an error; 08006 also for a lost connection
//   X time                       the end
#include <libpq-fe.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

// How long a statement may last after SIGTERM before the program gives it up.
constexpr int64_t kGraceNs = 5'000'000'000;

inline volatile sig_atomic_t stop_asked = 0;
inline int log_fd = -1;

inline int64_t Now()
{
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

// SIGTERM does not shorten it.
inline void Sleep(int64_t us)
{
    timespec time{us / 1'000'000, us % 1'000'000 * 1000};
    while (nanosleep(&time, &time) != 0) {
    }
}

// Writes a line at once: whoever reads the log meanwhile finds whole lines.
inline void Log(std::string line)
{
    line += '\n';
    if (write(log_fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        perror("cannot write the log");
        _exit(3);
    }
}

inline void LogError(const char *sqlstate, std::string message)
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

    // Connects unless it is connected. A server that is down is asked often, but not
    // in a busy loop.
    bool Connect()
    {
        if (connection_ != nullptr)
            return true;
        connection_ = PQconnectdb(conninfo_);
        if (PQstatus(connection_) == CONNECTION_OK) {
            Log("O " + std::to_string(Now()) + ' ' + std::to_string(PQbackendPID(connection_)));
            return true;
        }
        LogError("08006", PQerrorMessage(connection_));
        Disconnect();
        Sleep(10'000);
        return false;
    }

    void Disconnect()
    {
        PQfinish(connection_);
        connection_ = nullptr;
    }

    // Runs one statement or more; false, with the error in the log, if one fails.
    // After the loss of the connection every statement fails until Connect().
    bool Run(const std::string &sql)
    {
        values_.clear();
        if (connection_ == nullptr)
            return false;
        // Row by row, so that rows count which came before a connection was lost.
        if (PQsendQuery(connection_, sql.c_str()) && PQsetSingleRowMode(connection_))
            return Receive();
        LogError("08006", PQerrorMessage(connection_));
        DisconnectIfLost();
        return false;
    }

    bool Copy(const std::string &sql, const std::string &data)
    {
        if (!Run(sql))
            return false;
        PQputCopyData(connection_, data.data(), static_cast<int>(data.size()));
        PQputCopyEnd(connection_, nullptr);
        return Receive();
    }

    // The rows that the last Run() received, though an error may have followed.
    int Rows() const { return static_cast<int>(values_.size()) / columns_; }
    const std::string &Value(int row, int column) const { return values_[row * columns_ + column]; }

    bool InTransaction() const
    {
        return connection_ != nullptr && PQtransactionStatus(connection_) != PQTRANS_IDLE;
    }

private:
    bool Receive()
    {
        bool ok = true;
        while (AwaitResult()) {
            PGresult *result = PQgetResult(connection_);
            if (result == nullptr) {
                DisconnectIfLost();
                return ok;
            }
            const ExecStatusType status = PQresultStatus(result);
            if (status == PGRES_SINGLE_TUPLE) {
                columns_ = PQnfields(result);
                for (int column = 0; column < columns_; column++)
                    values_.push_back(PQgetvalue(result, 0, column));
            } else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK &&
                       status != PGRES_COPY_IN) {
                const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
                const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
                LogError(sqlstate ? sqlstate : "08006",
                         primary ? primary : PQresultErrorMessage(result));
                ok = false;
            }
            PQclear(result);
            if (status == PGRES_COPY_IN)
                return ok;
        }
        return false;
    }

    // False, and disconnected, if the program is to stop and none comes in time.
    bool AwaitResult()
    {
        while (PQisBusy(connection_)) {
            pollfd wait{PQsocket(connection_), POLLIN, 0};
            if (poll(&wait, 1, 100) > 0) {
                if (!PQconsumeInput(connection_))
                    return true; // the next result tells of it
            } else if (stop_asked != 0) {
                if (stop_seen_ == 0)
                    stop_seen_ = Now();
                if (Now() - stop_seen_ > kGraceNs) {
                    LogError("stuck", "the call has not returned");
                    Disconnect();
                    return false;
                }
            }
        }
        return true;
    }

    void DisconnectIfLost()
    {
        if (PQstatus(connection_) == CONNECTION_BAD)
            Disconnect();
    }

    const char *conninfo_;
    PGconn *connection_ = nullptr;
    std::vector<std::string> values_;
    int columns_ = 1;
    int64_t stop_seen_ = 0;
};

// Opens the log, then calls `turn` again and again while there is a connection;
// SIGTERM ends it between two turns.
template <typename Turn>
int RunTurns(Session &session, const char *log, Turn &&turn)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sigaction action = {};
    action.sa_handler = [](int) { stop_asked = 1; };
    sigaction(SIGTERM, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
    log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        return 3;
    while (stop_asked == 0)
        if (session.Connect())
            turn();
    Log("X " + std::to_string(Now()));
    return 0;
}
