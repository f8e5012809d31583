/// The SQL function that tells below which ID nothing more can appear, and its planner
/// support.

#include "../core/position.hpp"

#include "../server/compat.hpp"
#include "../server/generation.hpp"
#include "../server/open_transactions.hpp"

namespace timeshard {
namespace {

[[noreturn]] void RaisePreparedError(TransactionId xid)
{
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("a transaction is open that was prepared before the server's start or promotion"),
         errdetail("Transaction %u may have taken IDs that the server no longer knows of.", xid),
         errhint("Find it in pg_prepared_xacts, and commit it or roll it back. See "
                 "\"What holds it back\" in " TIMESHARD_MANUAL "doc/event-streams.md.")));
    pg_unreachable();
}

/// Rows that committed just before the answer are below it, and a snapshot taken
/// before the answer does not show them.
void WarnOfOldSnapshot()
{
    if (!IsolationUsesXactSnapshot())
        return;
    ereport(WARNING,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("this transaction's snapshot is older than the answer of timeshard_horizon()"),
             errdetail("Rows below the answer that were committed since do not show."),
             errhint("Ask under READ COMMITTED, and read in a later statement. See "
                     "\"Reads that lose rows\" in " TIMESHARD_MANUAL "doc/event-streams.md.")));
}

/// True if a tree of the parser reads a table other than the server's own, at any
/// depth. What INSERT writes to it does not read, and the entry of a view stands
/// for its query.
bool Reads(Node *node, void *context)
{
    if (node == nullptr)
        return false;
    if (!IsA(node, Query))
        return expression_tree_walker(node, AsServersWalker(Reads), context);
    auto *query = reinterpret_cast<Query *>(node);
    const int written = query->commandType == CMD_INSERT ? query->resultRelation : 0;
    for (int i = 1; i <= list_length(query->rtable); i++) {
        const RangeTblEntry *entry = rt_fetch(i, query->rtable);
        if (entry->rtekind == RTE_RELATION && entry->relkind != RELKIND_VIEW &&
            entry->relid >= FirstNormalObjectId && i != written)
            return true;
    }
    return query_tree_walker(query, AsServersWalker(Reads), context, 0);
}

/// Warns once for each message of the client: the planner simplifies a call more than
/// once.
void WarnOfOneStatement(const SupportRequestSimplify *request)
{
    static TimestampTz warned_at = 0;
    if (request->root == nullptr || warned_at == GetCurrentStatementStartTimestamp())
        return;
    const PlannerInfo *top = request->root;
    while (top->parent_root != nullptr)
        top = top->parent_root;
    if (!Reads(reinterpret_cast<Node *>(top->parse), nullptr))
        return;
    warned_at = GetCurrentStatementStartTimestamp();
    ereport(WARNING,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("this statement's snapshot is older than the answer of timeshard_horizon()"),
             errdetail("Rows below the answer that were committed since do not show."),
             errhint("Ask in one statement, and read in a later one. See "
                     "\"Reads that lose rows\" in " TIMESHARD_MANUAL "doc/event-streams.md.")));
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_horizon);
PG_FUNCTION_INFO_V1(timeshard_horizon_support);

/// timeshard_horizon() → bigint
Datum timeshard_horizon(PG_FUNCTION_ARGS)
{
    (void)fcinfo;
    const std::uint64_t own = NextUnusedWord("timeshard_horizon()");
    const OldestPosition oldest = FindOldestPosition();
    if (TransactionIdIsValid(oldest.prepared_earlier))
        RaisePreparedError(oldest.prepared_earlier);
    WarnOfOldSnapshot();
    PG_RETURN_INT64(static_cast<std::int64_t>(
        AnswerHorizon(AttachedPositions().greatest_answer, own, oldest.offset)));
}

/// The planner's support function of timeshard_horizon(): changes nothing, and
/// warns where one statement both asks and reads.
Datum timeshard_horizon_support(PG_FUNCTION_ARGS)
{
    auto *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
    if (IsA(request, SupportRequestSimplify))
        WarnOfOneStatement(reinterpret_cast<SupportRequestSimplify *>(request));
    PG_RETURN_POINTER(kNullPointer);
}
}

} // namespace timeshard
