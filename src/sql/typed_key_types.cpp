/// The SQL functions that create and drop the types of typed keys.

#include "../core/key_text.hpp"

#include <cstring>

#include "../server/compat.hpp"
#include "../server/definitions.hpp"

#include "typed_key_script.hpp"

namespace timeshard {
namespace {

constexpr char kInput[] = "timeshard_key_in"; // the C function by which a type is known
constexpr char kInputSuffix[] = "_in";

void CheckWritable(const char *function)
{
    PreventCommandIfReadOnly(function);
    PreventCommandIfParallelMode(function);
    PreventCommandDuringRecovery(function);
}

void CheckNotNull(FunctionCallInfo fcinfo)
{
    for (int i = 0; i < PG_NARGS(); i++)
        if (PG_ARGISNULL(i))
            ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                            errmsg("argument %d must not be null", i + 1)));
}

const char *DetailOf(KeyPrefixError error)
{
    switch (error) {
    case KeyPrefixError::kLength:
        return "It has 1 to 32 characters.";
    case KeyPrefixError::kStart:
        return "It starts with a letter.";
    case KeyPrefixError::kEnd:
        return "It does not end with a digit, because the digits of the ID follow.";
    case KeyPrefixError::kCharacter:
        return "It has ASCII letters and digits, and the characters \"_\", \"-\", \".\", \":\".";
    case KeyPrefixError::kNone:
        break;
    }
    pg_unreachable();
}

void CheckPrefix(const char *prefix)
{
    const KeyPrefixError error = CheckKeyPrefix(prefix);
    if (error != KeyPrefixError::kNone)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("invalid prefix for a type: \"%s\"", prefix),
                        errdetail_internal("%s", DetailOf(error))));
}

/// The C function that writes keys in a style.
const char *OutputOf(const char *style)
{
    if (std::strcmp(style, "digits") == 0)
        return "timeshard_key_out";
    if (std::strcmp(style, "code") == 0)
        return "timeshard_key_out_code";
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown style: \"%s\"", style),
             errhint("The styles are \"digits\" and \"code\".")));
    pg_unreachable();
}

/// The schema of a new type, which the caller may create in.
const char *CheckedSchema(Oid schema)
{
    const char *name = get_namespace_name(schema);
    if (name == nullptr)
        elog(ERROR, "cache lookup failed for schema %u", schema);
    if (!MayCreateIn(schema))
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, name);
    if (IsReservedName(name) || std::strcmp(name, "information_schema") == 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("a type of keys cannot be in a temporary or system schema"),
                        errdetail("The schema is \"%s\".", name)));
    return name;
}

/// A new type of that name, read as SQL reads it.
KeyType NewType(text *qualified, Oid *schema)
{
    char *name;
    *schema = QualifiedNameGetCreationNamespace(textToQualifiedNameList(qualified), &name);
    const char *schema_name = CheckedSchema(*schema);
    const int size = static_cast<int>(std::strlen(name));
    if (size < 1 || size > kMaxKeyTypeName)
        ereport(ERROR, (errcode(ERRCODE_INVALID_NAME),
                        errmsg("name of a type of keys must have 1 to %d bytes", kMaxKeyTypeName),
                        errdetail("\"%s\" has %d.", name, size)));
    if (SearchSysCacheExists2(TYPENAMENSP, CStringGetDatum(name), ObjectIdGetDatum(*schema)))
        ereport(ERROR,
                (errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("type \"%s\" already exists", name)));
    return {schema_name, name, schema_name, name};
}

/// The path of this library, as the calling function has it.
const char *LibraryOf(FunctionCallInfo fcinfo)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
    bool is_null;
    const Datum library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &is_null);
    const char *path = is_null ? "" : TextDatumGetCString(library);
    ReleaseSysCache(tuple);
    return path;
}

/// True if it is an input function of keys.
bool IsKeyInput(HeapTuple tuple)
{
    const auto function = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    bool is_null;
    const Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &is_null);
    return function->prolang == ClanguageId && !is_null &&
           std::strcmp(TextDatumGetCString(source), kInput) == 0;
}

/// The name that a type's parts begin with, and their schema: those of its input
/// function. Null if it is no type of keys.
const char *PartsOf(Oid input, Oid *schema)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(input));
    if (!HeapTupleIsValid(tuple))
        return nullptr;
    const auto function = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    const std::string_view name = NameStr(function->proname);
    const char *parts = nullptr;
    if (IsKeyInput(tuple) && name.ends_with(kInputSuffix))
        parts = pnstrdup(name.data(), name.size() - std::strlen(kInputSuffix));
    *schema = function->pronamespace;
    ReleaseSysCache(tuple);
    return parts;
}

/// An existing type, which the caller owns, and the schema of its parts.
KeyType OwnType(Oid type, Oid *parts_schema)
{
    HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
    if (!HeapTupleIsValid(tuple))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("type with OID %u does not exist", type)));
    const auto form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
    const char *schema = get_namespace_name(form->typnamespace);
    const char *name = pstrdup(NameStr(form->typname));
    const Oid input = form->typinput;
    ReleaseSysCache(tuple);

    const char *parts = PartsOf(input, parts_schema);
    if (parts == nullptr)
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                        errmsg("%s is no type of keys", format_type_be(type)),
                        errdetail("timeshard_types lists the types that timeshard_create_type() "
                                  "has created.")));
    if (!OwnsType(type))
        aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TYPE, name);
    return {schema, name, get_namespace_name(*parts_schema), parts};
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_create_type);
PG_FUNCTION_INFO_V1(timeshard_drop_type);

/// timeshard_create_type(name text, prefix text, style text) → regtype
Datum timeshard_create_type(PG_FUNCTION_ARGS)
{
    CheckWritable("timeshard_create_type()");
    CheckNotNull(fcinfo);
    const char *prefix = text_to_cstring(PG_GETARG_TEXT_PP(1));
    CheckPrefix(prefix);
    const char *output = OutputOf(text_to_cstring(PG_GETARG_TEXT_PP(2)));
    Oid schema;
    const KeyType type = NewType(PG_GETARG_TEXT_PP(0), &schema);
    PG_RETURN_OID(DefineAsSuperuser(CreateScript(type, prefix, output, LibraryOf(fcinfo)), schema));
}

/// timeshard_drop_type(type regtype) → void
Datum timeshard_drop_type(PG_FUNCTION_ARGS)
{
    CheckWritable("timeshard_drop_type()");
    CheckNotNull(fcinfo);
    const Oid type = PG_GETARG_OID(0);
    Oid schema;
    const KeyType own = OwnType(type, &schema);
    DropTogether(type, DropScript(own), schema);
    PG_RETURN_VOID();
}
}

} // namespace timeshard
