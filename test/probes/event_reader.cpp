// A session that reads the table of events as a stream: polls all the time, until
// SIGTERM.
//
//   usage: event_reader CONNINFO LOG memory|transaction|table|naive
//
// "memory" and "transaction" (both statements in one) keep the cursor themselves;
// "table" keeps it in the database, and copies what it reads in the transaction
// that moves it. They read up to the horizon. "naive" reads all there is past the
// last ID that it has seen.
//
// The log, a line each, beside what session.h writes:
//
//   H start end horizon lag      an answer of the horizon, and the clock then less
//                                its time, in us
//   L lag                        horizon_lag of timeshard_stats(), in us
//   I id...                      events that were read, in order
//   R start cursor               a poll, begun then, is done up to this cursor
#include "session.h"

namespace {

class Reader
{
public:
    Reader(Session &session, std::string kind) : session_(session), kind_(std::move(kind)) {}

    void Poll()
    {
        const int64_t start = Now();
        const bool ok = kind_ == "naive"         ? PollNaively()
                        : kind_ == "memory"      ? Ask() && Read()
                        : kind_ == "transaction" ? Begin() && Ask() && Read() && Commit()
                                                 : PollByTable();
        if (ok)
            Log("R " + std::to_string(start) + ' ' + cursor_);
        else if (session_.InTransaction())
            session_.Run("ROLLBACK");
        if (ok && ++polls_ % 20 == 0 &&
            session_.Run("SELECT (extract(epoch FROM horizon_lag) * 1000000)::bigint "
                         "FROM timeshard_stats()"))
            Log("L " + session_.Value(0, 0));
    }

private:
    bool Begin() { return session_.Run("BEGIN ISOLATION LEVEL READ COMMITTED"); }
    bool Commit() { return session_.Run("COMMIT"); }

    bool Ask()
    {
        const int64_t start = Now();
        if (!session_.Run("SELECT h, (extract(epoch FROM clock_timestamp() - timeshard_time(h)) * "
                          "1000000)::bigint FROM timeshard_horizon() AS h"))
            return false;
        horizon_ = session_.Value(0, 0);
        Log("H " + std::to_string(start) + ' ' + std::to_string(Now()) + ' ' + horizon_ + ' ' +
            session_.Value(0, 1));
        return true;
    }

    std::string Range() const { return "id >= " + cursor_ + " AND id < " + horizon_; }

    bool Read()
    {
        if (!session_.Run("SELECT id FROM events WHERE " + Range() + " ORDER BY id"))
            return false;
        LogRows();
        cursor_ = horizon_;
        return true;
    }

    void LogRows()
    {
        std::string line = "I";
        for (int row = 0; row < session_.Rows(); row++)
            line += ' ' + session_.Value(row, 0);
        if (session_.Rows() > 0)
            Log(std::move(line));
    }

    bool PollByTable()
    {
        if (!Begin() || !session_.Run("SELECT at FROM event_cursor FOR UPDATE"))
            return false;
        cursor_ = session_.Value(0, 0);
        if (!Ask() ||
            !session_.Run("INSERT INTO event_copies (id) SELECT id FROM events WHERE " + Range() +
                          " ORDER BY id") ||
            !session_.Run("UPDATE event_cursor SET at = " + horizon_) || !Commit())
            return false;
        cursor_ = horizon_;
        return true;
    }

    bool PollNaively()
    {
        if (!session_.Run("SELECT id FROM events WHERE id > " + cursor_ + " ORDER BY id"))
            return false;
        LogRows();
        if (session_.Rows() > 0)
            cursor_ = session_.Value(session_.Rows() - 1, 0);
        return true;
    }

    Session &session_;
    const std::string kind_;
    std::string cursor_ = "0";
    std::string horizon_;
    int64_t polls_ = 0;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    Session session(argv[1]);
    Reader reader(session, argv[3]);
    return RunTurns(session, argv[2], [&] {
        reader.Poll();
        Sleep(5'000);
    });
}
