// A client session that takes IDs without pause, through whatever befalls the
// server, and logs each ID that it was given: what was returned counts, whether
// it was committed or not.
//
//   usage: fault_writer CONNINFO LOG SEED KINDS PAUSE_US
//
// KINDS, separated by commas, are drawn from at random: rows (20 in an INSERT
// that is a transaction), row (one), commit and rollback (two INSERTs in a
// transaction), one and many (IDs that go into no table), reconnect (now and
// then). Ends on SIGTERM, after the call that it is in.
//
// The log, a line each, beside what session.h writes:
//
//   I kind txn start end id...   a call returned these IDs, in this order; kind is
//                                n: for no table, c: committed, u: perhaps
//                                committed, t: in transaction txn
//   S txn                        COMMIT of txn is sent
//   K txn                        COMMIT of txn has returned
#include "session.h"

#include <cstring>
#include <random>

namespace {

constexpr char kRow[] = "INSERT INTO fault_rows DEFAULT VALUES RETURNING id";
constexpr char kRows[] =
    "INSERT INTO fault_rows (filler) SELECT g FROM generate_series(1, 20) g RETURNING id";
constexpr char kOne[] = "SELECT timeshard_next_id()";
constexpr char kMany[] = "SELECT timeshard_next_id() FROM generate_series(1, 200)";

// Runs a statement and logs the IDs that came, though an error may follow.
bool Run(Session &session, const char *sql, char kind, int64_t transaction = 0)
{
    const int64_t start = Now();
    const bool ok = session.Run(sql);
    const int64_t end = Now();
    if (session.Rows() == 0)
        return ok;
    std::string line = "I ";
    line += kind == 'c' && !ok ? 'u' : kind;
    for (int64_t number : {transaction, start, end})
        line += ' ' + std::to_string(number);
    for (int row = 0; row < session.Rows(); row++)
        line += ' ' + session.Value(row, 0);
    Log(std::move(line));
    return ok;
}

bool RunTransaction(Session &session, bool commit, int64_t transaction)
{
    bool ok = session.Run("BEGIN") && Run(session, kRows, 't', transaction) &&
              Run(session, kRow, 't', transaction);
    if (ok && commit) {
        Log("S " + std::to_string(transaction));
        ok = session.Run("COMMIT");
        if (ok)
            Log("K " + std::to_string(transaction));
    } else
        session.Run("ROLLBACK");
    return ok;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    std::mt19937 random(static_cast<unsigned>(atoi(argv[3])));
    std::vector<std::string> kinds;
    for (char *kind = strtok(argv[4], ","); kind != nullptr; kind = strtok(nullptr, ","))
        kinds.push_back(kind);
    const int64_t pause_us = atoll(argv[5]);

    Session session(argv[1]);
    int64_t call = 0;
    return RunTurns(session, argv[2], [&] {
        const std::string &kind = kinds[random() % kinds.size()];
        call++;
        bool ok = true;
        if (kind == "rows")
            ok = Run(session, kRows, 'c');
        else if (kind == "row")
            ok = Run(session, kRow, 'c');
        else if (kind == "commit" || kind == "rollback")
            ok = RunTransaction(session, kind == "commit", call);
        else if (kind == "one")
            ok = Run(session, kOne, 'n');
        else if (kind == "many")
            ok = Run(session, kMany, 'n');
        else if (kind != "reconnect")
            _exit(2);
        else if (random() % 20 == 0)
            session.Disconnect();
        // A server that refuses everything is asked often, but not in a busy loop.
        if (!ok)
            Sleep(5000);
        if (pause_us > 0)
            Sleep(pause_us);
    });
}
