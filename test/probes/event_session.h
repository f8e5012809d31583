// What event_writer.cpp and event_reader.cpp share: a clock, a log, a session that
// outlives its connection, and the loop that ends on SIGTERM, between two turns.
#include <libpq-fe.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

inline volatile sig_atomic_t stop_asked = 0;
inline int log_fd = -1;

// In ns, on a clock that nobody sets.
inline int64_t Now()
{
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

// A signal to stop does not shorten it.
inline void Sleep(int64_t us)
{
    timespec time{us / 1'000'000, us % 1'000'000 * 1000};
    while (nanosleep(&time, &time) != 0) {
    }
}

// A log that is read meanwhile ends in a whole line.
inline void Log(std::string line)
{
    line += '\n';
    for (size_t at = 0; at < line.size();) {
        const ssize_t written = write(log_fd, line.data() + at, line.size() - at);
        if (written < 0) {
            perror("event client: cannot write the log");
            _exit(3);
        }
        at += static_cast<size_t>(written);
    }
}

class Session
{
public:
    Session(const char *conninfo, std::string settings)
        : conninfo_(conninfo), settings_(std::move(settings))
    {}
    ~Session() { Disconnect(); }

    // Connects unless it is connected; a server that is down is asked often, but
    // not in a busy loop.
    bool Connect()
    {
        if (connection_ != nullptr)
            return true;
        connection_ = PQconnectdb(conninfo_);
        if (PQstatus(connection_) == CONNECTION_OK && Run(settings_))
            return true;
        if (connection_ != nullptr) {
            LogError("08006", PQerrorMessage(connection_));
            Disconnect();
        }
        Sleep(20'000);
        return false;
    }

    // Runs one statement or more; false, with the error in the log, if it fails.
    // After the loss of the connection every statement fails until Connect().
    bool Run(const std::string &sql)
    {
        return connection_ != nullptr && Keep(PQexec(connection_, sql.c_str()));
    }

    bool Copy(const std::string &sql, const std::string &data)
    {
        if (!Run(sql))
            return false;
        PQputCopyData(connection_, data.data(), static_cast<int>(data.size()));
        PQputCopyEnd(connection_, nullptr);
        bool ok = true;
        while (connection_ != nullptr) {
            PGresult *result = PQgetResult(connection_);
            if (result == nullptr)
                break;
            ok = Keep(result) && ok;
        }
        return ok && connection_ != nullptr;
    }

    // Of the last statement that succeeded.
    int Rows() const { return result_ ? PQntuples(result_.get()) : 0; }
    std::string Value(int row, int column) const { return PQgetvalue(result_.get(), row, column); }

    bool InTransaction() const
    {
        return connection_ != nullptr && PQtransactionStatus(connection_) != PQTRANS_IDLE;
    }

private:
    bool Keep(PGresult *result)
    {
        result_.reset(result);
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN)
            return true;
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        LogError(sqlstate != nullptr ? sqlstate : "08006", PQresultErrorMessage(result));
        if (PQstatus(connection_) == CONNECTION_BAD)
            Disconnect();
        return false;
    }

    void LogError(const char *sqlstate, std::string message)
    {
        while (!message.empty() && message.back() == '\n')
            message.pop_back();
        std::replace(message.begin(), message.end(), '\n', ' ');
        Log("E " + std::to_string(Now()) + ' ' + sqlstate + ' ' + message);
    }

    void Disconnect()
    {
        PQfinish(connection_);
        connection_ = nullptr;
    }

    struct Clear
    {
        void operator()(PGresult *result) const { PQclear(result); }
    };

    const char *conninfo_;
    const std::string settings_;
    PGconn *connection_ = nullptr;
    std::unique_ptr<PGresult, Clear> result_;
};

// Opens the log, and has `turn` run again and again while there is a connection.
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
    return 0;
}
