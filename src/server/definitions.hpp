#pragma once

#include "postgres.hpp"

/// Objects of the catalog that take a superuser, made and dropped for a role that is
/// none.
namespace timeshard {

/// Runs the statements of `sql`, which must be CREATE or COMMENT ON FUNCTION, TYPE,
/// OPERATOR, OPERATOR CLASS, AGGREGATE and CAST, as the bootstrap superuser, and grants
/// EXECUTE on each function to PUBLIC, which a later REVOKE in `sql` can take back. Every other
/// object then belongs to that superuser, and the type that the last statement about one creates to
/// the caller. Returns that type.
///
/// The statements go straight to the server's functions: an event trigger, which
/// belongs to the database's owner, must not run in here. So must nothing else that a
/// role has written; `sql` names every object with its schema, and everything new is in
/// `schema`.
Oid DefineAsSuperuser(const char *sql, Oid schema);

/// Drops `type` and, in the same step, what the DROP statements of `sql` name, all of it
/// in `schema`. Leaves out what does not exist, and a function that belongs to no
/// superuser. Raises an error if anything else depends on it. Checks no rights.
void DropTogether(Oid type, const char *sql, Oid schema);

} // namespace timeshard
