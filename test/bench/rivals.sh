# shellcheck shell=bash
# Sourced by bench.sh: what is measured against each other, and the servers that
# it runs on. A kind is a way to make a key; each has a line in each table below.

declare -A title cluster type call at range
kinds=()

# kind NAME TITLE CLUSTER TYPE CALL
kind() {
  kinds+=("$1")
  title[$1]=$2 cluster[$1]=$3 type[$1]=$4 call[$1]=$5
  told kind "$1" "$2"
  told call "$1" "$5"
}

# start_layout NODE_ID_BITS: a server of that layout, called layout_BITS. All
# have the same configuration, and sync, as servers in use do.
start_layout() {
  local name=layout_$1
  [ ! -d "$work/$name" ] || return 0
  as_user cp -R "$work/template" "$work/$name"
  cat >>"$work/$name/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$work/$name'
max_connections = $((most_sessions + 20))
shared_buffers = ${buffers}MB
min_wal_size = $((quick ? 256 : 4096))MB
max_wal_size = 8GB
checkpoint_timeout = 1h
maintenance_work_mem = 256MB
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
snowflake.node = 1
timeshard.node_id = 1
timeshard.node_id_bits = $1
CONF
  as_user "$bindir/pg_ctl" -D "$work/$name" -l "$work/$name.log" -w start >/dev/null ||
    { cat "$work/$name.log" >&2; exit 2; }
  sql "$name" -c 'CREATE EXTENSION timeshard' >&2
}
stop_layout() {
  as_user "$bindir/pg_ctl" -D "$work/layout_$1" -m immediate -w stop >/dev/null
  rm -rf "$work/layout_$1"
}

start_servers() {
  as_user "$bindir/initdb" -N -A trust -U postgres -D "$work/template" >"$work/initdb.log" ||
    { cat "$work/initdb.log" >&2; exit 2; }
  start_layout 10
  start_layout 1
}

# The functions that are written here for want of one in the server, as they are
# found in many places: UUIDv7 by overlaying a random UUID with the time, and the
# snowflake in PL/pgSQL on a sequence, 41 bits of time, 13 of shard, 10 of sequence.
# pgEdge's has 41 bits of milliseconds since 2023, 10 of node and 12 of counter.
written_here() {
  cat <<'SQL'
CREATE SEQUENCE numbers;
CREATE SEQUENCE cached_numbers CACHE 32;
CREATE SEQUENCE snowflake_numbers;
CREATE SEQUENCE pgedge_numbers;
CREATE SEQUENCE hashed_numbers;
CREATE FUNCTION uuidv7_at(moment timestamptz) RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send(floor(extract(epoch FROM moment) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid $$;
CREATE FUNCTION uuidv7_by_overlay() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid $$;
CREATE FUNCTION uuidv7_bound(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT encode(substring(int8send(ceil(extract(epoch FROM moment) * 1000)::bigint) FROM 3)
        || '\x70008000000000000000', 'hex')::uuid $$;
CREATE FUNCTION plpgsql_snowflake(OUT result bigint) LANGUAGE plpgsql AS $$
DECLARE
    our_epoch bigint := 1314220021721;
    shard_id integer := 5;
    seq_id bigint;
    now_millis bigint;
BEGIN
    SELECT nextval('snowflake_numbers') % 1024 INTO seq_id;
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000) INTO now_millis;
    result := (now_millis - our_epoch) << 23;
    result := result | (shard_id << 10);
    result := result | seq_id;
END $$;
CREATE FUNCTION snowflake_bound(moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (ceil(extract(epoch FROM moment) * 1000)::bigint - 1314220021721) << 23 $$;
CREATE FUNCTION pgedge_bound(moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (ceil(extract(epoch FROM moment) * 1000)::bigint - 1672531200000) << 22 $$;
SQL
}

# Other extensions: what to create, its kind, the kind's title, type, call. Those
# that this PostgreSQL does not have are skipped aloud.
other_extensions() {
  cat <<'TABLE'
uuid-ossp	ossp_v1mc	uuid-ossp v1mc	uuid	uuid_generate_v1mc()
uuid-ossp	ossp_v4	uuid-ossp v4	uuid	uuid_generate_v4()
pg_uuidv7	pg_uuidv7	pg_uuidv7	uuid	uuid_generate_v7()
pgx_ulid	pgx_ulid	pgx_ulid	ulid	gen_ulid()
ulid	ulid	ulid	ulid	gen_ulid()
pg_ulid	pg_ulid	pg_ulid	ulid	gen_ulid()
pg_idkit	idkit_ulid	pg_idkit ULID	text	idkit_ulid_generate()
pg_idkit	idkit_ksuid	pg_idkit KSUID	text	idkit_ksuid_generate()
snowflake	pgedge	pgEdge snowflake	bigint	snowflake.nextval('pgedge_numbers')
pg_hashids	hashids	pg_hashids	text	id_encode(nextval('hashed_numbers'))
TABLE
}

define_kinds() {
  local extension name heading key_type function major last=
  written_here | sql layout_10 >&2
  kind timeshard 'Timeshard' layout_10 bigint 'timeshard_next_id()'
  kind timeshard_1 'Timeshard, one node bit' layout_1 bigint 'timeshard_next_id()'
  kind bigserial 'bigserial' layout_10 bigint "nextval('numbers')"
  kind cached 'bigserial, CACHE 32' layout_10 bigint "nextval('cached_numbers')"
  kind uuid4 'UUIDv4' layout_10 uuid 'gen_random_uuid()'
  major=$(sql layout_10 -c "SELECT current_setting('server_version_num')::integer / 10000")
  if [ "$major" -ge 18 ]; then
    kind uuid7 'UUIDv7' layout_10 uuid 'uuidv7()'
  else
    kind uuid7 'UUIDv7 in SQL' layout_10 uuid 'uuidv7_by_overlay()'
  fi
  kind snowflake 'snowflake in PL/pgSQL' layout_10 bigint 'plpgsql_snowflake()'

  # Keys of a given time, for tables that are filled with days of it; where
  # there is none the call itself stands in, whose keys carry no time to ask for.
  at[timeshard]='timeshard_lower_bound(moment) + n % 4096'
  range[timeshard]='timeshard_between(id, SINCE, UNTIL)'
  at[uuid7]='uuidv7_at(moment)'
  range[uuid7]='id >= uuidv7_bound(SINCE) AND id < uuidv7_bound(UNTIL)'
  at[snowflake]='snowflake_bound(moment) | (5 << 10) | n % 1024'
  range[snowflake]='id >= snowflake_bound(SINCE) AND id < snowflake_bound(UNTIL)'
  at[pg_uuidv7]='uuid_timestamptz_to_v7(moment)'
  range[pg_uuidv7]='id >= uuid_timestamptz_to_v7(SINCE, true) AND id < uuid_timestamptz_to_v7(UNTIL, true)'
  at[pgedge]='pgedge_bound(moment) | (1 << 12) | n % 4096'
  range[pgedge]='id >= pgedge_bound(SINCE) AND id < pgedge_bound(UNTIL)'

  while IFS=$'\t' read -r extension name heading key_type function; do
    if [ "$(sql layout_10 -c "SELECT count(*) FROM pg_available_extensions WHERE name = '$extension'" </dev/null)" = 0 ]; then
      [ "$extension" = "${last:-}" ] || told skipped "$extension" 'not installed'
      last=$extension
      continue
    fi
    if sql layout_10 -c "CREATE EXTENSION IF NOT EXISTS \"$extension\"" -c "SELECT $function" </dev/null >"$work/err" 2>&1; then
      kind "$name" "$heading" layout_10 "$key_type" "$function"
    else
      told skipped "$extension" "does not work here: $(grep -m 1 ERROR "$work/err" || head -n 1 "$work/err")"
    fi
  done < <(other_extensions)
  has_density=
  if sql layout_10 -c 'CREATE EXTENSION pgstattuple' >"$work/err" 2>&1 && sql layout_1 -c 'CREATE EXTENSION pgstattuple'; then
    has_density=1
  else
    told skipped pgstattuple 'not installed: the density of indexes is not measured'
  fi
}
