#include "definitions.hpp"

#include "compat.hpp"

namespace timeshard {
namespace {

void SetWithin(const char *name, const char *value)
{
    set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/// Statements name their objects by schema: another can have got its name meanwhile.
void CheckSchema(const ObjectAddress &object, Oid schema)
{
    const Oid found = get_object_namespace(&object);
    if (OidIsValid(found) && found != schema)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("schema was renamed meanwhile"),
                        errhint("Call the function again.")));
}

ParseState *StateFor(const char *sql)
{
    ParseState *state = make_parsestate(nullptr);
    state->p_sourcetext = sql;
    return state;
}

/// Outright: default privileges may have taken it from PUBLIC.
void GrantToPublic(const ObjectAddress &function)
{
    const char *sql = psprintf("GRANT EXECUTE ON FUNCTION %s TO PUBLIC",
                               format_procedure_qualified(function.objectId));
    const auto statement = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
    ExecuteGrantStmt(castNode(GrantStmt, statement->stmt));
}

ObjectAddress DefineFrom(ParseState *state, DefineStmt *statement)
{
    switch (statement->kind) {
    case OBJECT_TYPE:
        return DefineType(state, statement->defnames, statement->definition);
    case OBJECT_OPERATOR:
        return DefineOperator(statement->defnames, statement->definition);
    case OBJECT_AGGREGATE:
        return DefineAggregate(state, statement->defnames, statement->args, statement->oldstyle,
                               statement->definition, false);
    default:
        elog(ERROR, "unexpected kind of object: %d", static_cast<int>(statement->kind));
    }
    pg_unreachable();
}

ObjectAddress Define(ParseState *state, Node *statement)
{
    switch (nodeTag(statement)) {
    case T_CreateFunctionStmt:
        return CreateFunction(state, castNode(CreateFunctionStmt, statement));
    case T_CreateCastStmt:
        return CreateCast(castNode(CreateCastStmt, statement));
    case T_CreateOpClassStmt:
        return DefineOpClass(castNode(CreateOpClassStmt, statement));
    case T_CommentStmt:
        return CommentObject(castNode(CommentStmt, statement));
    case T_DefineStmt:
        return DefineFrom(state, castNode(DefineStmt, statement));
    default:
        elog(ERROR, "unexpected statement: %d", static_cast<int>(nodeTag(statement)));
    }
    pg_unreachable();
}

/// All of them. Returns their type.
Oid DefineEach(const char *sql, Oid schema)
{
    Oid type = InvalidOid;
    ListCell *cell;
    foreach (cell, raw_parser(sql, RAW_PARSE_DEFAULT)) {
        Node *statement = lfirst_node(RawStmt, cell)->stmt;
        if (IsA(statement, GrantStmt)) {
            ExecuteGrantStmt(castNode(GrantStmt, statement));
            CommandCounterIncrement();
            continue;
        }
        const ObjectAddress object = Define(StateFor(sql), statement);
        CommandCounterIncrement();
        CheckSchema(object, schema);
        if (IsA(statement, CommentStmt))
            continue;
        if (object.classId == TypeRelationId)
            type = object.objectId;
        if (object.classId == ProcedureRelationId) {
            GrantToPublic(object);
            CommandCounterIncrement();
        }
    }
    return type;
}

bool OwnedBySuperuser(Oid function)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple))
        return false;
    const Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->proowner;
    ReleaseSysCache(tuple);
    return superuser_arg(owner);
}

/// Adds the objects of one DROP statement.
void AddTo(ObjectAddresses *all, const DropStmt *statement, Oid schema)
{
    ListCell *cell;
    foreach (cell, statement->objects) {
        Relation relation = nullptr; // none of these has one
        const ObjectAddress object =
            get_object_address(statement->removeType, static_cast<Node *>(lfirst(cell)), &relation,
                               AccessExclusiveLock, true);
        if (!OidIsValid(object.objectId) ||
            (object.classId == ProcedureRelationId && !OwnedBySuperuser(object.objectId)))
            continue;
        CheckSchema(object, schema);
        add_exact_object_address(&object, all);
    }
}

} // namespace

Oid DefineAsSuperuser(const char *sql, Oid schema)
{
    Oid caller;
    int context;
    GetUserIdAndSecContext(&caller, &context);
    const int settings = NewGUCNestLevel();
    // An error restores both, as the end of a transaction or subtransaction does.
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context | SECURITY_LOCAL_USERID_CHANGE);
    SetWithin("search_path", "pg_catalog, pg_temp");
    if (client_min_messages < WARNING)
        SetWithin("client_min_messages", "warning"); // no notice that a type is still a shell

    const Oid type = DefineEach(sql, schema);
    AlterTypeOwner_oid(type, caller, true);
    CommandCounterIncrement();

    AtEOXact_GUC(true, settings);
    SetUserIdAndSecContext(caller, context);
    return type;
}

void DropTogether(Oid type, const char *sql, Oid schema)
{
    ObjectAddresses *all = new_object_addresses();
    ObjectAddress object;
    ObjectAddressSet(object, TypeRelationId, type);
    add_exact_object_address(&object, all);
    ListCell *cell;
    foreach (cell, raw_parser(sql, RAW_PARSE_DEFAULT))
        AddTo(all, castNode(DropStmt, lfirst_node(RawStmt, cell)->stmt), schema);
    performMultipleDeletions(all, DROP_RESTRICT, 0);
}

} // namespace timeshard
