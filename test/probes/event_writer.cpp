// A session that writes the table of events, in every way in which a transaction
// can take IDs, until SIGTERM.
//
//   usage: event_writer CONNINFO LOG NUMBER
//
// The log, a line each, beside what session.h writes:
//
//   T kind start end outcome     a transaction: committed, undone, failed, or
//                                prepared; of the kind "finished": one that was
//                                prepared, by any session, begun at start
#include "session.h"

#include <cstring>
#include <random>

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

class Chance
{
public:
    explicit Chance(unsigned seed) : generator_(seed) {}

    int64_t UpTo(int64_t most)
    {
        return std::uniform_int_distribution<int64_t>(0, most)(generator_);
    }
    bool OneIn(int64_t number) { return UpTo(number - 1) == 0; }

private:
    std::mt19937 generator_;
};

class Writer
{
public:
    Writer(Session &session, unsigned number)
        : session_(session), chance_(number), writer_(std::to_string(number))
    {}

    // Half of the time, by turns, the writers are idle more often than not: a
    // transaction that the horizon overlooks then has none beside it that hides
    // the mistake.
    static bool IsCalm() { return Now() / 2'000'000'000 % 2 == 0; }

    int64_t BreakUs() { return chance_.UpTo(IsCalm() ? 300'000 : 60'000); }

    // One transaction, of a random kind and length.
    void RunOne()
    {
        static constexpr struct
        {
            const char *name;
            bool (Writer::*body)();
            int weight;
        } kinds[] = {
            {"plain", &Writer::Plain, 8},         {"savepoint", &Writer::Savepoints, 5},
            {"error", &Writer::Error, 3},         {"caught", &Writer::Caught, 3},
            {"procedure", &Writer::Procedure, 2}, {"batch", &Writer::Batch, 3},
            {"handed", &Writer::Handed, 3},       {"copy", &Writer::Copy, 2},
            {"parallel", &Writer::Parallel, 1},   {"prepared", &Writer::Prepared, 4},
            {"finish", &Writer::Finish, 6},
        };
        int total = 0;
        for (const auto &kind : kinds)
            total += kind.weight;
        int64_t pick = chance_.UpTo(total - 1);
        const auto *kind = kinds;
        while (pick >= kind->weight)
            pick -= kind++->weight;
        const bool calm = IsCalm();
        if (calm && kind->body == &Writer::Prepared)
            return;

        // Most are short, and a few keep the horizon waiting.
        length_ms_ = calm || chance_.OneIn(3) ? 0
                     : chance_.OneIn(700)     ? 1000 + chance_.UpTo(2000)
                                              : chance_.UpTo(100);
        outcome_ = "committed";
        started_ = Now();
        const bool ok = (this->*kind->body)();
        if (session_.InTransaction())
            session_.Run("ROLLBACK");
        LogTransaction(kind->name, started_, ok ? outcome_ : "failed");
    }

private:
    static void LogTransaction(const char *kind, int64_t started, const char *outcome)
    {
        Log(std::string("T ") + kind + ' ' + std::to_string(started) + ' ' + std::to_string(Now()) +
            ' ' + outcome);
    }

    // A part of the transaction's length goes by.
    bool Pause()
    {
        Sleep(chance_.UpTo(length_ms_ * 500));
        return true;
    }

    bool Insert()
    {
        return session_.Run("INSERT INTO events (writer) SELECT " + writer_ +
                            " FROM generate_series(1, " + std::to_string(1 + chance_.UpTo(5)) +
                            ")");
    }

    bool End()
    {
        if (!chance_.OneIn(5))
            return session_.Run("COMMIT");
        outcome_ = "undone";
        return session_.Run("ROLLBACK");
    }

    bool Plain()
    {
        if (length_ms_ == 0)
            return Insert();
        bool ok = session_.Run("BEGIN") && Insert() && Pause();
        while (ok && chance_.OneIn(2))
            ok = Insert() && Pause();
        return ok && End();
    }

    bool Savepoints()
    {
        bool ok = session_.Run("BEGIN");
        do {
            ok = ok && session_.Run("SAVEPOINT a") && Insert() && Pause() &&
                 session_.Run(chance_.OneIn(2) ? "ROLLBACK TO a" : "RELEASE a") && Pause();
        } while (ok && chance_.OneIn(2));
        return ok && (chance_.OneIn(2) || Insert()) && End();
    }

    // Fails between taking an ID and using it: the ID is the first column. The
    // transaction goes on behind a savepoint, or ends.
    bool Error()
    {
        const std::string fails =
            chance_.OneIn(2) ? "INSERT INTO events (writer, note) SELECT " + writer_ +
                                   ", 1 / (2 - n) FROM generate_series(1, 3) AS n"
                             : "INSERT INTO events (id, writer) SELECT id, " + writer_ +
                                   " FROM timeshard_next_id() AS id, generate_series(1, 2)";
        if (!session_.Run("BEGIN") || !(chance_.OneIn(2) || Insert()) ||
            !session_.Run("SAVEPOINT a") || session_.Run(fails) || !Pause())
            return false;
        return session_.Run("ROLLBACK TO a") && Insert() && Pause() && End();
    }

    bool Caught() { return Call("SELECT event_caught("); }
    bool Procedure() { return Call("CALL event_steps("); }

    bool Call(const char *start)
    {
        return session_.Run(start + writer_ + ", " + std::to_string(length_ms_ / 2000.0) + ")");
    }

    bool Batch()
    {
        return session_.Run("BEGIN") &&
               session_.Run("INSERT INTO events (id, writer) SELECT id, " + writer_ +
                            " FROM timeshard_next_ids(" + std::to_string(1 + chance_.UpTo(50)) +
                            ") AS id") &&
               Pause() && End();
    }

    // The IDs go to the client and come back in the same transaction.
    bool Handed()
    {
        if (!session_.Run("BEGIN") || !session_.Run("SELECT timeshard_next_ids(3)"))
            return false;
        std::string rows;
        for (int row = 0; row < session_.Rows(); row++)
            rows += (row > 0 ? ", (" : "(") + session_.Value(row, 0) + ", " + writer_ + ")";
        return Pause() && session_.Run("INSERT INTO events (id, writer) VALUES " + rows) &&
               Pause() && End();
    }

    bool Copy()
    {
        std::string rows;
        for (int64_t left = 1 + chance_.UpTo(20); left > 0; left--)
            rows += writer_ + '\n';
        return session_.Run("BEGIN") && session_.Copy("COPY events (writer) FROM STDIN", rows) &&
               Pause() && End();
    }

    // The workers take the IDs for the session, by a function that is marked safe.
    bool Parallel()
    {
        return session_.Run("BEGIN; SET LOCAL parallel_setup_cost = 0; "
                            "SET LOCAL parallel_tuple_cost = 0; "
                            "SET LOCAL parallel_leader_participation = " +
                            std::string(chance_.OneIn(2) ? "on" : "off")) &&
               session_.Run("CREATE TEMP TABLE made ON COMMIT DROP AS "
                            "SELECT event_own_next_id() AS id FROM event_source") &&
               Pause() &&
               session_.Run("INSERT INTO events (id, writer) SELECT id, " + writer_ +
                            " FROM made") &&
               Pause() && End();
    }

    // The name says when it began, and from when on it may be finished: by then
    // the session is in another transaction, which has IDs of its own.
    bool Prepared()
    {
        bool ok = session_.Run("BEGIN");
        if (ok && chance_.OneIn(3))
            ok = session_.Run("SAVEPOINT a") && Insert() && session_.Run("RELEASE a");
        outcome_ = "prepared";
        return ok && Insert() && Pause() &&
               session_.Run("PREPARE TRANSACTION 'event_" + std::to_string(started_) + '_' +
                            std::to_string(Now() + chance_.UpTo(3 * length_ms_ + 100) * kNsPerMs) +
                            "'");
    }

    bool Finish()
    {
        outcome_ = "none";
        if (!session_.Run("SELECT gid FROM pg_prepared_xacts WHERE "
                          "split_part(gid, '_', 3)::bigint < " +
                          std::to_string(Now()) + " ORDER BY random() LIMIT 1"))
            return false;
        if (session_.Rows() == 0)
            return true;
        const std::string gid = session_.Value(0, 0);
        const bool commits = !chance_.OneIn(4);
        outcome_ = commits ? "committed" : "undone";
        if (!session_.Run((commits ? "COMMIT PREPARED '" : "ROLLBACK PREPARED '") + gid + "'"))
            return false;
        LogTransaction("finished", atoll(gid.c_str() + strlen("event_")), outcome_);
        return true;
    }

    Session &session_;
    Chance chance_;
    const std::string writer_;
    int64_t length_ms_ = 0;
    int64_t started_ = 0;
    const char *outcome_ = "";
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    const auto number = static_cast<unsigned>(atoi(argv[3]));
    Session session(argv[1]);
    Writer writer(session, number);
    return RunTurns(session, argv[2], [&] {
        writer.RunOne();
        Sleep(writer.BreakUs());
    });
}
