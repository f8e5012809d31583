/// The functions behind the types of typed keys: text and binary form. They serve every
/// type, and find its prefix by the function's entry in the catalog. Types in databases
/// refer to them by name, so the names stay for ever.

#include "../core/key_text.hpp"

#include <cstring>

#include "../server/compat.hpp"

#include "text_values.hpp"
#include "typed_key.hpp"

namespace timeshard {
namespace {

/// A prefix, kept as long as the call's fn_extra.
struct KeptPrefix
{
    std::size_t size;
    char text[NAMEDATALEN];
};

/// Reads the prefix: the name of the calling function's argument.
KeptPrefix *ReadPrefix(const FmgrInfo &function)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function.fn_oid));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", function.fn_oid);
    bool no_names;
    const Datum names = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proargnames, &no_names);
    char **name = nullptr;
    if (no_names || get_func_input_arg_names(names, Datum{0}, &name) < 1 || name[0] == nullptr)
        elog(ERROR, "function %u has no argument name, which is the prefix", function.fn_oid);
    ReleaseSysCache(tuple);

    const auto prefix =
        static_cast<KeptPrefix *>(MemoryContextAlloc(function.fn_mcxt, sizeof(KeptPrefix)));
    prefix->size = strlcpy(prefix->text, name[0], sizeof prefix->text);
    return prefix;
}

} // namespace

std::string_view PrefixOf(FunctionCallInfo fcinfo)
{
    FmgrInfo *function = fcinfo->flinfo;
    if (function == nullptr)
        elog(ERROR, "a function of a typed key is called without its entry in the catalog");
    if (function->fn_extra == nullptr)
        function->fn_extra = ReadPrefix(*function);
    const auto prefix = static_cast<const KeptPrefix *>(function->fn_extra);
    return {prefix->text, prefix->size};
}

namespace {

Datum KeyFrom(FunctionCallInfo fcinfo, std::string_view text)
{
    const std::string_view prefix = PrefixOf(fcinfo);
    std::int64_t key;
    if (ParseKey(text, prefix, &key))
        return Int64GetDatum(key);

    TIMESHARD_INPUT_ERROR(
        fcinfo, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
        errmsg("invalid input syntax for type %s: \"%s\"",
               format_type_be(get_func_rettype(fcinfo->flinfo->fn_oid)), Shortened(text)),
        errdetail("A value is \"%s\" and 19 digits, or \"%s\" and a code of 13 characters.",
                  prefix.data(), prefix.data()));
    pg_unreachable();
}

Datum KeyText(FunctionCallInfo fcinfo, KeyStyle style)
{
    const std::string_view prefix = PrefixOf(fcinfo);
    const auto text = static_cast<char *>(palloc(MaxKeyText(prefix) + 1));
    *WriteKey(PG_GETARG_INT64(0), prefix, style, text) = '\0';
    PG_RETURN_CSTRING(text);
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_key_in);
PG_FUNCTION_INFO_V1(timeshard_key_out);
PG_FUNCTION_INFO_V1(timeshard_key_out_code);
PG_FUNCTION_INFO_V1(timeshard_key_recv);
PG_FUNCTION_INFO_V1(timeshard_key_from_text);

/// order_id_in(cstring) → order_id. If a superuser makes it non-strict, it gets a null
/// pointer for a null.
Datum timeshard_key_in(PG_FUNCTION_ARGS)
{
    const char *text = PG_GETARG_CSTRING(0);
    if (text == nullptr)
        PG_RETURN_NULL();
    return KeyFrom(fcinfo, text);
}

/// order_id_out(order_id) → cstring, of a type with the style "digits"
Datum timeshard_key_out(PG_FUNCTION_ARGS)
{
    return KeyText(fcinfo, KeyStyle::kDigits);
}

/// The same with the style "code"
Datum timeshard_key_out_code(PG_FUNCTION_ARGS)
{
    return KeyText(fcinfo, KeyStyle::kCode);
}

/// order_id_recv(internal) → order_id. int8recv() would crash on a null pointer.
Datum timeshard_key_recv(PG_FUNCTION_ARGS)
{
    const auto message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    if (message == nullptr)
        PG_RETURN_NULL();
    PG_RETURN_INT64(pq_getmsgint64(message));
}

/// order_id_from_text(text) → order_id
Datum timeshard_key_from_text(PG_FUNCTION_ARGS)
{
    if (PG_ARGISNULL(0))
        PG_RETURN_NULL();
    return KeyFrom(fcinfo, ViewOf(PG_GETARG_TEXT_PP(0)));
}
}

} // namespace timeshard
