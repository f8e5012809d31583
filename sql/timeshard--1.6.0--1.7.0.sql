\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.7.0'" to load this file. \quit

-- The registry of node IDs
--
-- A database where timeshard_create_registry() was run hands out node IDs. A claim is an
-- interval of ID space, first_offset <= offset < end_offset, of one number; the intervals of a
-- number never overlap. doc/registry-protocol.md says what claimants and registry tell each other.
--
-- A function that roles may be granted switches to its owner in C and calls NAME_as_owner,
-- which is SQL bound when it is created: no search_path can change what it means. Names of
-- polymorphic functions and operators are qualified, as an exact match elsewhere would win.
--
-- Times are offsets, in ms since the epoch, unless their name says clock: ms since 1970.

CREATE TABLE timeshard_registry (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    id uuid NOT NULL,
    node_id_bits integer NOT NULL,
    custom_epoch bigint NOT NULL,
    claim_length bigint NOT NULL,
    key bytea NOT NULL,
    run bigint NOT NULL,
    system_identifier bigint NOT NULL,
    timeline bigint NOT NULL,
    database_oid oid NOT NULL,
    table_oid oid NOT NULL
);
COMMENT ON TABLE timeshard_registry IS
'the settings of the registry of node IDs, one row if this database is one; the key signs what claimants are told, so nobody but the owner may read it';
COMMENT ON COLUMN timeshard_registry.claim_length IS 'ms that a claim extends ahead at most';
COMMENT ON COLUMN timeshard_registry.run IS 'rises each time the registry finds that it has lost its memory';
COMMENT ON COLUMN timeshard_registry.table_oid IS
'with system_identifier, timeline and database_oid: what the registry ran on; on anything else it has lost its memory';

CREATE TABLE timeshard_registry_numbers (
    number integer PRIMARY KEY,
    first_offset bigint,
    end_offset bigint NOT NULL,
    given_end bigint NOT NULL,
    given_back boolean NOT NULL DEFAULT false,
    resting boolean NOT NULL DEFAULT false,
    nonce uuid,
    asked uuid,
    tag text,
    claimed_at bigint,
    granted_at bigint NOT NULL
);
CREATE INDEX ON timeshard_registry_numbers (granted_at);
COMMENT ON TABLE timeshard_registry_numbers IS 'each number of the registry with its latest claim';
COMMENT ON COLUMN timeshard_registry_numbers.first_offset IS 'the floor of its latest claim; null if it was never claimed';
COMMENT ON COLUMN timeshard_registry_numbers.end_offset IS 'the end of that claim, or of the rest; the floor of the next claim';
COMMENT ON COLUMN timeshard_registry_numbers.given_end IS 'the latest end that the registry knows to have been given to anyone';
COMMENT ON COLUMN timeshard_registry_numbers.resting IS
'true if the registry has lost its memory since this number was last claimed: somebody unknown may hold it until end_offset';
COMMENT ON COLUMN timeshard_registry_numbers.nonce IS 'in the latest answer; whoever shows it in a signed proof holds the claim';
COMMENT ON COLUMN timeshard_registry_numbers.asked IS 'the nonce shown by the request that the latest answer is for, and its tag';
COMMENT ON COLUMN timeshard_registry_numbers.granted_at IS 'when it was last claimed or extended';

CREATE TABLE timeshard_registry_history (
    number integer,
    first_offset bigint,
    end_offset bigint,
    claimant text NOT NULL,
    role name NOT NULL,
    address inet,
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (number, first_offset)
);
COMMENT ON TABLE timeshard_registry_history IS 'every claim that may have issued an ID; end_offset is null for the latest of a number';

-- The registry's own counterpart of a claimant's answer.
CREATE TYPE timeshard_claim_answer AS (
    outcome text,
    node_id integer,
    first_offset bigint,
    end_offset bigint,
    proof text,
    registry_clock bigint,
    free_at bigint,
    message text
);
COMMENT ON TYPE timeshard_claim_answer IS 'what the registry of node IDs answers a claimant; see doc/registry-protocol.md';
COMMENT ON COLUMN timeshard_claim_answer.outcome IS
'claimed, none_free, clocks_differ, layout_differs; extended, confirmed, kept, not_yours; ended';
COMMENT ON COLUMN timeshard_claim_answer.node_id IS 'the number';
COMMENT ON COLUMN timeshard_claim_answer.first_offset IS 'the first offset of an ID that the claim allows, in ms since the epoch';
COMMENT ON COLUMN timeshard_claim_answer.end_offset IS 'the offset at which the claim ends: no ID of it or above';
COMMENT ON COLUMN timeshard_claim_answer.proof IS 'what the claimant shows with its next request';
COMMENT ON COLUMN timeshard_claim_answer.registry_clock IS 'the registry''s clock, in ms since 1970';
COMMENT ON COLUMN timeshard_claim_answer.free_at IS 'when a number will be free, in ms since 1970, if none is';
COMMENT ON COLUMN timeshard_claim_answer.message IS 'what is wrong, for people';

CREATE FUNCTION timeshard_hmac(key bytea, message bytea) RETURNS bytea
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_hmac';
COMMENT ON FUNCTION timeshard_hmac(bytea, bytea) IS 'HMAC with SHA-256, by which the registry knows its own answers';

CREATE FUNCTION timeshard_registry_error(what text, value text DEFAULT NULL, given text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'timeshard_registry_error';
COMMENT ON FUNCTION timeshard_registry_error(text, text, text) IS 'raises an error of the registry''s functions';

CREATE FUNCTION timeshard_registry_clock() RETURNS bigint
LANGUAGE SQL VOLATILE
RETURN pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000.0::float8)::bigint;
COMMENT ON FUNCTION timeshard_registry_clock() IS 'this server''s clock, in ms since 1970';

CREATE FUNCTION timeshard_registry_now(clock bigint) RETURNS bigint
LANGUAGE SQL VOLATILE
RETURN (
    SELECT greatest(clock - r.custom_epoch, (SELECT max(n.granted_at) FROM timeshard_registry_numbers AS n))
    FROM timeshard_registry AS r
);
COMMENT ON FUNCTION timeshard_registry_now(bigint) IS
'the registry''s time as an offset: its clock, as just read, but never before the newest time that it recorded';

CREATE FUNCTION timeshard_registry_text(clock bigint) RETURNS text
LANGUAGE SQL STABLE STRICT
RETURN pg_catalog.to_char(pg_catalog.to_timestamp(clock / 1000.0::float8) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"');
COMMENT ON FUNCTION timeshard_registry_text(bigint) IS 'a time in ms since 1970, for people';

-- The end of an extension: as far ahead as the claim is old, from ten minutes to the claim length.
CREATE FUNCTION timeshard_registry_ahead(age bigint, claim_length bigint) RETURNS bigint
LANGUAGE SQL IMMUTABLE
RETURN least(greatest(age, 600000), claim_length);
COMMENT ON FUNCTION timeshard_registry_ahead(bigint, bigint) IS
'how far ahead, in ms, a claim of this age reaches: as far as it is old, from 10 minutes to the claim length';

CREATE FUNCTION timeshard_registry_system(
    OUT system_identifier bigint, OUT timeline bigint, OUT database_oid oid)
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    -- The name of a WAL segment begins with the timeline; pg_control learns it only at a checkpoint.
    SELECT c.system_identifier,
        ('x' || pg_catalog.lpad(pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8), 16, '0'))::bit(64)::bigint,
        d.oid
    FROM pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d
    WHERE d.datname = pg_catalog.current_database();
END;
COMMENT ON FUNCTION timeshard_registry_system() IS 'what this database runs on';

-- Proofs: number.first_offset.end_offset.run.nonce.signature

CREATE FUNCTION timeshard_registry_sign(
    key bytea, number integer, first_offset bigint, end_offset bigint, run bigint, nonce uuid) RETURNS text
LANGUAGE SQL IMMUTABLE STRICT
BEGIN ATOMIC
    SELECT c.claim || '.' || pg_catalog.encode(timeshard_hmac(key, pg_catalog.convert_to(c.claim, 'UTF8')), 'hex')
    FROM (SELECT pg_catalog.concat_ws('.', number, first_offset, end_offset, run, nonce) AS claim) AS c;
END;
COMMENT ON FUNCTION timeshard_registry_sign(bytea, integer, bigint, bigint, bigint, uuid) IS 'the proof of a claim; null if anything is';

CREATE FUNCTION timeshard_registry_shown(
    proof text, OUT number integer, OUT first_offset bigint, OUT end_offset bigint, OUT run bigint, OUT nonce uuid)
LANGUAGE SQL IMMUTABLE
BEGIN ATOMIC
    SELECT p[1]::integer, p[2]::bigint, p[3]::bigint, p[4]::bigint, p[5]::uuid
    FROM pg_catalog.string_to_array(proof, '.') AS p;
END;
COMMENT ON FUNCTION timeshard_registry_shown(text) IS 'what a proof says; its signature has been checked';

CREATE FUNCTION timeshard_registry_check_proof(proof text) RETURNS void
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    SELECT timeshard_registry_error('no registry')
    WHERE NOT EXISTS (SELECT FROM timeshard_registry);
    SELECT timeshard_registry_error('proof')
    FROM timeshard_registry AS r
    WHERE proof IS NULL OR pg_catalog.length(proof) > 250
    OR pg_catalog.substring(proof, '[^.]*$') <> pg_catalog.encode(timeshard_hmac(r.key,
        pg_catalog.convert_to(pg_catalog.regexp_replace(proof, '[.][^.]*$', ''), 'UTF8')), 'hex');
END;
COMMENT ON FUNCTION timeshard_registry_check_proof(text) IS
'raises an error unless this registry has signed the proof';

-- Memory

CREATE FUNCTION timeshard_registry_forgot(number integer, end_offset bigint, run bigint) RETURNS boolean
LANGUAGE SQL VOLATILE
RETURN (
    SELECT (r.system_identifier, r.timeline, r.database_oid, r.table_oid)
            IS DISTINCT FROM (s.system_identifier, s.timeline, s.database_oid, r.tableoid)
        OR coalesce($3 > r.run, false)
        OR EXISTS (
            SELECT FROM timeshard_registry_numbers AS n
            WHERE n.number = $1 AND NOT n.resting AND $2 > n.given_end)
    FROM timeshard_registry AS r, timeshard_registry_system() AS s
);
COMMENT ON FUNCTION timeshard_registry_forgot(integer, bigint, bigint) IS
'true if the registry has lost its memory: it runs on another system, timeline, database or table than recorded,
or a proof is of a later run or end than it knows of that number';

CREATE FUNCTION timeshard_registry_lay_to_rest(heard_run bigint) RETURNS void
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    SELECT FROM timeshard_registry FOR UPDATE; -- the next statement sees every claim made before
    WITH lost AS (
        UPDATE timeshard_registry AS r
        SET run = greatest(r.run, heard_run) + 1, system_identifier = s.system_identifier, timeline = s.timeline,
            database_oid = s.database_oid, table_oid = r.tableoid
        FROM timeshard_registry_system() AS s
        RETURNING r.claim_length, timeshard_registry_now(timeshard_registry_clock()) AS now,
            (SELECT max(n.granted_at) FROM timeshard_registry_numbers AS n) AS newest
    ), rest AS (
        SELECT n.number, lost.now + 120000 + CASE
            WHEN n.end_offset <= lost.newest AND NOT n.resting
                THEN timeshard_registry_ahead(lost.now - lost.newest, lost.claim_length)
            ELSE lost.claim_length END AS until
        FROM timeshard_registry_numbers AS n, lost
    )
    UPDATE timeshard_registry_numbers AS n
    SET end_offset = greatest(n.end_offset, rest.until), given_end = greatest(n.given_end, n.end_offset, rest.until),
        given_back = false, resting = true
    FROM rest WHERE n.number = rest.number;
END;
COMMENT ON FUNCTION timeshard_registry_lay_to_rest(bigint) IS
'begins a run in which every number rests until whoever may hold it has stopped: two minutes more than
a claim made since the newest recorded time can last where the number was free then, else than any claim can';

-- Each change begins here: claims go on side by side, but not beside a loss of memory.
CREATE FUNCTION timeshard_registry_remember(number integer, end_offset bigint, run bigint) RETURNS void
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    SELECT FROM timeshard_registry WHERE timeshard_registry_forgot($1, $2, $3) FOR UPDATE;
    SELECT timeshard_registry_lay_to_rest($3) WHERE timeshard_registry_forgot($1, $2, $3);
    SELECT FROM timeshard_registry FOR SHARE;
END;
COMMENT ON FUNCTION timeshard_registry_remember(integer, bigint, bigint) IS
'lays the numbers to rest if the registry has lost its memory, judged also by what a proof says;
keeps others from doing so until the transaction ends';

CREATE FUNCTION timeshard_registry_refusal(clock bigint, registry_clock bigint) RETURNS text
LANGUAGE SQL IMMUTABLE
RETURN CASE WHEN abs(clock - registry_clock) <= 60000 THEN NULL
    ELSE pg_catalog.format('clock is %s s %s the registry''s', pg_catalog.round(abs(clock - registry_clock) / 1000.0, 3),
        CASE WHEN clock > registry_clock THEN 'ahead of' ELSE 'behind' END) END;
COMMENT ON FUNCTION timeshard_registry_refusal(bigint, bigint) IS
'what is wrong with a claimant''s clock: null if it is within a minute of the registry''s';

CREATE FUNCTION timeshard_registry_note(number integer, first_offset bigint, claimant text) RETURNS void
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    UPDATE timeshard_registry_history AS h SET end_offset = $2
    WHERE h.number = $1 AND h.end_offset IS NULL AND h.first_offset < $2;
    -- A claim that was given back unused has the same floor.
    INSERT INTO timeshard_registry_history (number, first_offset, claimant, role, address, claimed_at)
    VALUES ($1, $2, $3, session_user, pg_catalog.inet_client_addr(), pg_catalog.clock_timestamp())
    ON CONFLICT (number, first_offset) DO UPDATE
    SET end_offset = NULL, claimant = excluded.claimant, role = excluded.role, address = excluded.address, claimed_at = excluded.claimed_at;
END;
COMMENT ON FUNCTION timeshard_registry_note(integer, bigint, text) IS 'writes a claim into the history';

-- Claiming, extending, ending

CREATE FUNCTION timeshard_claim_as_owner(
    claimant text, clock bigint, node_id_bits integer, custom_epoch bigint, numbers int4range, preferred integer)
RETURNS timeshard_claim_answer
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    SELECT timeshard_registry_error('claim')
    WHERE (pg_catalog.length(claimant) BETWEEN 1 AND 200) IS NOT TRUE
    OR clock IS NULL OR node_id_bits IS NULL OR custom_epoch IS NULL;
    SELECT timeshard_registry_error('no registry')
    WHERE NOT EXISTS (SELECT FROM timeshard_registry);
    SELECT timeshard_registry_error('not its numbers',
        (SELECT pg_catalog.format('%s to %s', min(n.number), max(n.number)) FROM timeshard_registry_numbers AS n), numbers::text)
    WHERE numbers IS NOT NULL
    AND NOT EXISTS (SELECT FROM timeshard_registry_numbers AS n WHERE n.number OPERATOR(pg_catalog.<@) numbers);
    SELECT timeshard_registry_remember(NULL, NULL, NULL);

    WITH asked AS MATERIALIZED (
        SELECT r.*, timeshard_registry_now(c.registry_clock) AS now, c.registry_clock, $2 - r.custom_epoch AS claimants_now,
            CASE WHEN (r.node_id_bits, r.custom_epoch) IS DISTINCT FROM ($3, $4) THEN 'layout_differs'
                WHEN timeshard_registry_refusal($2, c.registry_clock) IS NOT NULL THEN 'clocks_differ' END AS refusal
        FROM timeshard_registry AS r, (SELECT timeshard_registry_clock() AS registry_clock OFFSET 0) AS c
    ), free AS MATERIALIZED (
        -- The number unused for longest, but first the preferred one: if it was given back, a
        -- minute before its end has passed, for a server that restarts.
        SELECT n.number
        FROM timeshard_registry_numbers AS n, asked AS a
        WHERE a.refusal IS NULL AND ($5 IS NULL OR n.number OPERATOR(pg_catalog.<@) $5)
        AND n.end_offset <= least(a.now, a.claimants_now) + CASE WHEN n.number = $6 AND n.given_back THEN 60000 ELSE 0 END
        ORDER BY n.number IS NOT DISTINCT FROM $6 DESC, n.end_offset, n.number
        LIMIT 1
        FOR UPDATE OF n SKIP LOCKED
    ), claimed AS (
        UPDATE timeshard_registry_numbers AS n
        SET first_offset = n.end_offset, end_offset = a.now + timeshard_registry_ahead(0, a.claim_length),
            given_end = greatest(n.given_end, a.now + timeshard_registry_ahead(0, a.claim_length)),
            given_back = false, resting = false, nonce = pg_catalog.gen_random_uuid(), asked = NULL, tag = NULL,
            claimed_at = a.now, granted_at = a.now
        FROM free AS f, asked AS a WHERE n.number = f.number
        RETURNING n.*
    ), taken AS (
        SELECT count(*) AS numbers, min(n.end_offset) AS free_at, bool_or(n.resting) AS resting
        FROM timeshard_registry_numbers AS n, asked AS a
        WHERE ($5 IS NULL OR n.number OPERATOR(pg_catalog.<@) $5) AND n.end_offset > least(a.now, a.claimants_now)
    )
    SELECT coalesce(a.refusal, CASE WHEN c.number IS NULL THEN 'none_free' ELSE 'claimed' END),
        c.number, c.first_offset, c.end_offset,
        timeshard_registry_sign(a.key, c.number, c.first_offset, c.end_offset, a.run, c.nonce),
        a.registry_clock, f.free_at,
        CASE WHEN a.refusal = 'layout_differs'
            THEN pg_catalog.format('the registry is for %s node ID bits and epoch %s, not for %s and %s',
                a.node_id_bits, a.custom_epoch, $3, $4)
        WHEN a.refusal IS NOT NULL THEN timeshard_registry_refusal($2, a.registry_clock)
        WHEN c.number IS NULL THEN 'none of the registry''s numbers ' || CASE WHEN $5 IS NULL THEN '' ELSE $5::text || ' ' END || 'is free'
            || coalesce(' until ' || timeshard_registry_text(f.free_at), '')
            || CASE WHEN f.resting THEN ': numbers rest, as the registry has lost its memory' ELSE '' END
        END
    FROM asked AS a
    LEFT JOIN claimed AS c ON true
    LEFT JOIN LATERAL (SELECT t.free_at + a.custom_epoch AS free_at, t.resting FROM taken AS t
        WHERE a.refusal IS NULL AND c.number IS NULL) AS f ON true
    LEFT JOIN LATERAL (SELECT timeshard_registry_note(c.number, c.first_offset, $1) WHERE c.number IS NOT NULL OFFSET 0) AS noted ON true;
END;
COMMENT ON FUNCTION timeshard_claim_as_owner(text, bigint, integer, bigint, int4range, integer) IS
'what timeshard_claim() does with its owner''s rights';

CREATE FUNCTION timeshard_claim(
    claimant text, clock bigint, node_id_bits integer, custom_epoch bigint,
    numbers int4range DEFAULT NULL, preferred integer DEFAULT NULL)
RETURNS timeshard_claim_answer
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'timeshard_registry_alone';
COMMENT ON FUNCTION timeshard_claim(text, bigint, integer, bigint, int4range, integer) IS
'claims a node ID from the registry that this database is: outcome claimed, or the reason why not;
claimant is a name for people, clock the claimant''s in ms since 1970, then its layout and epoch (ms since 1970);
only numbers, if given, and preferred, if it is free';

CREATE FUNCTION timeshard_extend_claim_as_owner(claimant text, clock bigint, proof text, tag text)
RETURNS timeshard_claim_answer
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    SELECT timeshard_registry_error('extension')
    WHERE (pg_catalog.length(claimant) BETWEEN 1 AND 200 AND pg_catalog.length(tag) BETWEEN 8 AND 100) IS NOT TRUE
    OR clock IS NULL;
    SELECT timeshard_registry_check_proof(proof);
    SELECT timeshard_registry_remember(s.number, s.end_offset, s.run) FROM timeshard_registry_shown(proof) AS s;
    SELECT FROM timeshard_registry_numbers AS n, timeshard_registry_shown(proof) AS s WHERE n.number = s.number FOR UPDATE OF n;

    WITH asked AS MATERIALIZED (
        SELECT s.*, n.number AS known, n.claimed_at, n.end_offset AS known_end, n.nonce AS known_nonce,
            r.key, r.run AS current_run, r.claim_length, r.custom_epoch, now.now, c.registry_clock,
            CASE WHEN timeshard_registry_refusal($2, c.registry_clock) IS NOT NULL THEN 'clocks_differ'
                WHEN n.number IS NULL THEN 'not_yours'
                WHEN n.resting AND s.end_offset > now.now + 120000 THEN 'believed'
                WHEN n.resting THEN 'kept'
                WHEN n.nonce = s.nonce THEN 'extended'
                WHEN n.asked = s.nonce AND n.tag = $4 THEN 'confirmed'
                ELSE 'not_yours' END AS verdict
        FROM timeshard_registry AS r, timeshard_registry_shown($3) AS s
        LEFT JOIN timeshard_registry_numbers AS n ON n.number = s.number,
            (SELECT timeshard_registry_clock() AS registry_clock OFFSET 0) AS c,
            LATERAL (SELECT timeshard_registry_now(c.registry_clock) AS now OFFSET 0) AS now
    ), granted AS (
        SELECT a.number, CASE WHEN a.verdict = 'believed' THEN a.now ELSE a.claimed_at END AS claimed_at,
            CASE WHEN a.verdict = 'believed' THEN greatest(a.end_offset, a.now + timeshard_registry_ahead(0, a.claim_length))
            ELSE greatest(a.known_end, a.now + timeshard_registry_ahead(a.now - a.claimed_at, a.claim_length)) END AS end_offset
        FROM asked AS a WHERE a.verdict IN ('believed', 'extended')
    ), extended AS (
        UPDATE timeshard_registry_numbers AS n
        SET first_offset = a.first_offset, end_offset = g.end_offset, given_end = greatest(n.given_end, g.end_offset),
            given_back = false, resting = false, nonce = pg_catalog.gen_random_uuid(), asked = a.nonce, tag = $4,
            claimed_at = g.claimed_at, granted_at = a.now
        FROM granted AS g, asked AS a WHERE n.number = g.number
        RETURNING n.*
    )
    SELECT CASE WHEN a.verdict = 'believed' THEN 'extended' ELSE a.verdict END,
        CASE WHEN a.verdict <> 'clocks_differ' THEN a.number END,
        CASE WHEN answer.nonce IS NOT NULL THEN a.first_offset END,
        answer.end_offset,
        timeshard_registry_sign(a.key, a.number, a.first_offset, answer.end_offset, a.current_run, answer.nonce),
        a.registry_clock, NULL::bigint,
        CASE a.verdict
            WHEN 'clocks_differ' THEN timeshard_registry_refusal($2, a.registry_clock)
            WHEN 'kept' THEN pg_catalog.format('the registry has lost its memory, and number %s rests until %s',
                a.number, timeshard_registry_text(a.known_end + a.custom_epoch))
            WHEN 'not_yours' THEN pg_catalog.format('number %s is another''s now: this claim was copied, or it ran out', a.number)
        END
    FROM asked AS a
    LEFT JOIN extended AS e ON true
    -- A repeated request is confirmed with the end that its sender knows.
    LEFT JOIN LATERAL (SELECT coalesce(e.nonce, a.known_nonce) AS nonce, coalesce(e.end_offset, a.end_offset) AS end_offset
        WHERE a.verdict IN ('believed', 'extended', 'confirmed')) AS answer ON true
    LEFT JOIN LATERAL (SELECT timeshard_registry_note(a.number, a.first_offset, $1) WHERE a.verdict = 'believed' OFFSET 0) AS noted ON true;
END;
COMMENT ON FUNCTION timeshard_extend_claim_as_owner(text, bigint, text, text) IS
'what timeshard_extend_claim() does with its owner''s rights';

CREATE FUNCTION timeshard_extend_claim(claimant text, clock bigint, proof text, tag text)
RETURNS timeshard_claim_answer
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'timeshard_registry_alone';
COMMENT ON FUNCTION timeshard_extend_claim(text, bigint, text, text) IS
'extends a claim, once a minute: outcome extended or confirmed, with the proof for the next request; kept or clocks_differ, which leave the claim as it is;
not_yours, after which its holder must stop at once and claim anew;
proof is the last one received, tag fresh random bits and the clock, the same again if the answer was lost';

CREATE FUNCTION timeshard_end_claim_as_owner(proof text, tag text, used_until bigint)
RETURNS timeshard_claim_answer
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    SELECT timeshard_registry_error('end') WHERE used_until IS NULL;
    SELECT timeshard_registry_check_proof(proof);
    SELECT timeshard_registry_remember(s.number, s.end_offset, s.run) FROM timeshard_registry_shown(proof) AS s;
    SELECT FROM timeshard_registry_numbers AS n, timeshard_registry_shown(proof) AS s WHERE n.number = s.number FOR UPDATE OF n;

    WITH asked AS MATERIALIZED (
        SELECT s.number, s.first_offset, r.custom_epoch, n.end_offset AS known_end,
            greatest(s.first_offset, least(CASE WHEN n.resting THEN s.end_offset ELSE n.end_offset END, $3)) AS end_offset,
            CASE WHEN n.number IS NULL THEN 'not_yours'
                WHEN n.resting AND s.end_offset > timeshard_registry_now(timeshard_registry_clock()) + 120000 THEN 'ended'
                WHEN n.resting THEN 'kept'
                WHEN n.nonce = s.nonce OR (n.asked = s.nonce AND n.tag = $2) THEN 'ended'
                ELSE 'not_yours' END AS verdict
        FROM timeshard_registry AS r, timeshard_registry_shown($1) AS s
        LEFT JOIN timeshard_registry_numbers AS n ON n.number = s.number
    ), ended AS (
        UPDATE timeshard_registry_numbers AS n
        SET first_offset = a.first_offset, end_offset = a.end_offset, given_back = true, resting = false,
            nonce = NULL, asked = NULL, tag = NULL
        FROM asked AS a WHERE n.number = a.number AND a.verdict = 'ended'
        RETURNING n.*
    )
    SELECT a.verdict, a.number, NULL::bigint, e.end_offset, NULL::text, timeshard_registry_clock(), NULL::bigint,
        CASE a.verdict
            WHEN 'kept' THEN pg_catalog.format('the registry has lost its memory, and number %s rests until %s',
                a.number, timeshard_registry_text(a.known_end + a.custom_epoch))
            WHEN 'not_yours' THEN pg_catalog.format('number %s is another''s now: this claim was copied, or it ran out', a.number)
        END
    FROM asked AS a LEFT JOIN ended AS e ON true;
END;
COMMENT ON FUNCTION timeshard_end_claim_as_owner(text, text, bigint) IS 'what timeshard_end_claim() does with its owner''s rights';

CREATE FUNCTION timeshard_end_claim(proof text, tag text, used_until bigint)
RETURNS timeshard_claim_answer
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'timeshard_registry_alone';
COMMENT ON FUNCTION timeshard_end_claim(text, text, bigint) IS
'gives a number back: outcome ended, or not_yours or kept, which change nothing;
proof is the last one received, tag that of an extension whose answer has not arrived, else null;
used_until is an offset, in ms since the epoch, that no ID of the claim reaches';

CREATE FUNCTION timeshard_is_claimed_as_owner(node_id integer) RETURNS boolean
LANGUAGE SQL VOLATILE
RETURN (SELECT n.end_offset > timeshard_registry_now(timeshard_registry_clock()) FROM timeshard_registry_numbers AS n WHERE n.number = node_id);
COMMENT ON FUNCTION timeshard_is_claimed_as_owner(integer) IS 'what timeshard_is_claimed() does with its owner''s rights';

CREATE FUNCTION timeshard_is_claimed(node_id integer) RETURNS boolean
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'timeshard_registry_read';
COMMENT ON FUNCTION timeshard_is_claimed(integer) IS
'true if somebody may hold this number of the registry, false if nobody does; null if it is none of its numbers';

-- Running a registry

CREATE FUNCTION timeshard_create_registry_as_owner(numbers int4range, claim_length interval) RETURNS void
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    SELECT timeshard_registry_error('a registry')
    WHERE EXISTS (SELECT FROM timeshard_registry);
    SELECT timeshard_registry_error('numbers', c.max_node_id::text, numbers::text)
    FROM timeshard_config() AS c
    WHERE (pg_catalog.lower(numbers) >= 0 AND pg_catalog.upper(numbers) - 1 <= c.max_node_id) IS NOT TRUE;
    SELECT timeshard_registry_error('claim length', NULL, claim_length::text)
    WHERE (claim_length BETWEEN interval '10 minutes' AND interval '1 year') IS NOT TRUE;
    INSERT INTO timeshard_registry
    SELECT true, pg_catalog.gen_random_uuid(), c.node_id_bits, c.custom_epoch,
        (pg_catalog.date_part('epoch', claim_length) * 1000.0::float8)::bigint,
        -- Two UUIDs have 244 random bits.
        pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid())),
        1, s.system_identifier, s.timeline, s.database_oid,
        (SELECT t.oid FROM pg_catalog.pg_class AS t WHERE t.oid = 'timeshard_registry'::pg_catalog.regclass)
    FROM timeshard_config() AS c, timeshard_registry_system() AS s;
    -- What numbers were used for before, ended before this.
    INSERT INTO timeshard_registry_numbers (number, end_offset, given_end, granted_at)
    SELECT n, now.now, now.now, now.now
    FROM (SELECT timeshard_registry_clock() - r.custom_epoch AS now FROM timeshard_registry AS r OFFSET 0) AS now,
        pg_catalog.generate_series(pg_catalog.lower(numbers), pg_catalog.upper(numbers) - 1) AS n;
END;
COMMENT ON FUNCTION timeshard_create_registry_as_owner(int4range, interval) IS
'what timeshard_create_registry() does with its owner''s rights';

CREATE FUNCTION timeshard_create_registry(numbers int4range, claim_length interval DEFAULT '1 day') RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'timeshard_registry_change';
COMMENT ON FUNCTION timeshard_create_registry(int4range, interval) IS
'makes this database a registry that hands these node IDs out, with this server''s layout and epoch;
no other server may be configured with one of them; a claim lasts claim_length, 10 minutes to a year, without the registry';

CREATE FUNCTION timeshard_registry_restored_as_owner() RETURNS void
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    SELECT timeshard_registry_lay_to_rest(0);
END;
COMMENT ON FUNCTION timeshard_registry_restored_as_owner() IS 'what timeshard_registry_restored() does with its owner''s rights';

CREATE FUNCTION timeshard_registry_restored() RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'timeshard_registry_change';
COMMENT ON FUNCTION timeshard_registry_restored() IS
'tells the registry that it has lost its memory, so that every number rests; call it before anyone connects to
a registry that was started from a snapshot or base backup of the same system: nothing else shows that';

CREATE FUNCTION timeshard_registry_free_as_owner(number integer) RETURNS void
LANGUAGE SQL VOLATILE
BEGIN ATOMIC
    SELECT timeshard_registry_error('no rest', $1::text)
    WHERE NOT EXISTS (SELECT FROM timeshard_registry_numbers AS n WHERE n.number = $1 AND n.resting FOR UPDATE);
    UPDATE timeshard_registry_numbers AS n SET end_offset = least(n.end_offset, timeshard_registry_now(timeshard_registry_clock()) + 120000)
    WHERE n.number = $1 AND n.resting;
END;
COMMENT ON FUNCTION timeshard_registry_free_as_owner(integer) IS 'what timeshard_registry_free() does with its owner''s rights';

CREATE FUNCTION timeshard_registry_free(number integer) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'timeshard_registry_change';
COMMENT ON FUNCTION timeshard_registry_free(integer) IS
'ends the rest of a number two minutes from now; you must know that nobody holds it';

CREATE VIEW timeshard_claims AS
SELECT h.number, h.claimant, h.role, h.address, h.claimed_at, h.first_offset,
    coalesce(h.end_offset, CASE WHEN n.resting THEN NULL ELSE n.end_offset END) AS end_offset,
    h.end_offset IS NULL AS latest
FROM timeshard_registry_history AS h JOIN timeshard_registry_numbers AS n USING (number);
COMMENT ON VIEW timeshard_claims IS
'every claim of a number that the registry remembers: who held it, and the IDs it allowed, first_offset up to end_offset, in ms since the epoch;
end_offset is null if the registry has lost its memory since';

-- A view reads tables with its owner's rights, but calls functions with the reader's, so it
-- calls none of the registry's.
CREATE VIEW timeshard_fleet AS
SELECT n.number,
    CASE WHEN n.end_offset <= now.now THEN 'free' WHEN n.resting THEN 'resting'
        WHEN n.given_back THEN 'given back' WHEN n.nonce IS NULL THEN 'free' ELSE 'claimed' END AS state,
    h.claimant, h.role, h.address, h.claimed_at,
    CASE WHEN h.number IS NOT NULL THEN pg_catalog.to_timestamp((n.granted_at + r.custom_epoch) / 1000.0::float8) END AS extended_at,
    pg_catalog.to_timestamp((n.end_offset + r.custom_epoch) / 1000.0::float8) AS ends_at
FROM timeshard_registry AS r
CROSS JOIN LATERAL (
    SELECT greatest(max(g.granted_at), (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000.0::float8)::bigint - r.custom_epoch) AS now
    FROM timeshard_registry_numbers AS g) AS now
CROSS JOIN timeshard_registry_numbers AS n
LEFT JOIN timeshard_registry_history AS h ON h.number = n.number AND h.end_offset IS NULL;
COMMENT ON VIEW timeshard_fleet IS
'each number of the registry: free, claimed, given back (free at ends_at) or resting, and who claimed it last;
extended_at is when its holder was last heard, and ends_at when the claim or the rest ends unless it is extended';

CREATE FUNCTION timeshard_claimant(id bigint) RETURNS SETOF timeshard_claims
LANGUAGE SQL STABLE
BEGIN ATOMIC
    SELECT c.*
    FROM timeshard_parse(id) AS p
    JOIN timeshard_claims AS c ON c.number = p.node_id AND c.first_offset <= p.timestamp_offset
        AND (p.timestamp_offset < c.end_offset OR c.end_offset IS NULL)
    ORDER BY c.first_offset DESC LIMIT 1;
END;
COMMENT ON FUNCTION timeshard_claimant(bigint) IS
'who held the node ID of this ID at its time: no row if nobody that the registry remembers did';

-- Nobody but the owner sees keys and nonces, and nobody claims without a grant, whatever the
-- default privileges are. Everything belongs to the extension's owner: an owner without
-- superuser rights can restore a dump, and a claim runs with that owner's rights.
DO $body$
DECLARE
    owner text;
    ours record;
    other text;
BEGIN
    SELECT extowner::pg_catalog.regrole INTO owner FROM pg_catalog.pg_extension WHERE extname = 'timeshard';
    FOR ours IN
        SELECT 'FUNCTION' AS kind, p.oid::pg_catalog.regprocedure::text AS name, p.proacl AS rights, p.proname ~ '_as_owner$' AS is_sql
        FROM pg_catalog.pg_extension AS e
        JOIN pg_catalog.pg_depend AS d ON d.refobjid = e.oid AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
        JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid
        WHERE e.extname = 'timeshard' AND (p.proname ~ '^timeshard_registry_|_as_owner$'
            OR p.proname IN ('timeshard_claim', 'timeshard_extend_claim', 'timeshard_end_claim', 'timeshard_is_claimed',
                'timeshard_create_registry', 'timeshard_hmac'))
        UNION ALL
        SELECT 'TABLE', c.oid::pg_catalog.regclass::text, c.relacl, false
        FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_class AS c ON c.relnamespace = e.extnamespace
        WHERE e.extname = 'timeshard' AND c.relname IN ('timeshard_registry', 'timeshard_registry_numbers',
            'timeshard_registry_history', 'timeshard_claims', 'timeshard_fleet')
    LOOP
        EXECUTE pg_catalog.format('ALTER %s %s OWNER TO %s', ours.kind, ours.name, owner);
        EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC', ours.kind, ours.name);
        FOR other IN
            SELECT DISTINCT grantee::pg_catalog.regrole FROM pg_catalog.aclexplode(ours.rights)
            WHERE grantee NOT IN (0, grantor) AND grantee::pg_catalog.regrole::text <> owner
        LOOP
            EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM %s', ours.kind, ours.name, other);
        END LOOP;
        IF ours.is_sql THEN -- compiling such a statement takes seconds, for one row
            EXECUTE pg_catalog.format('ALTER FUNCTION %s SET jit = off', ours.name);
        END IF;
    END LOOP;
END
$body$;
GRANT SELECT ON timeshard_fleet, timeshard_claims TO pg_monitor;

SELECT pg_catalog.pg_extension_config_dump('timeshard_registry', '');
SELECT pg_catalog.pg_extension_config_dump('timeshard_registry_numbers', '');
SELECT pg_catalog.pg_extension_config_dump('timeshard_registry_history', '');

COMMENT ON FUNCTION timeshard_config() IS
'what is in force since the server started;
node_id_source is configuration, environment, address (members of pg_monitor see which one), registry (claimed; node_id is null while no claim is held) or none (node_id is null);
pending_restart is true if the settings have changed since';

CREATE FUNCTION timeshard_claim_status(
    OUT node_id integer,
    OUT claimed_until timestamptz,
    OUT registry_error text
)
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_claim_status';
COMMENT ON FUNCTION timeshard_claim_status() IS
'the node ID that this server has claimed from a registry, the time up to which it may issue IDs by the claim, and, for members of pg_monitor,
the last trouble with the registry, null if there is none; all null where the node ID is not claimed';

CREATE OR REPLACE FUNCTION timeshard_config_info() RETURNS text
LANGUAGE SQL STABLE PARALLEL SAFE
-- Qualified: a function in the extension's schema that fits the arguments better
-- would otherwise be taken, and run with the rights of whoever asks.
RETURN (
    SELECT pg_catalog.format(
        E'allocation     41-%s-%s (bits of time, node ID, sequence)\n'
        'node ID        %s of 0 to %s, from %s\n'
        'sequence       0 to %s\n'
        'IDs per ms     %s\n'
        'epoch          %s (%s UTC)\n'
        'end of life    %s UTC\n'
        'preloaded      %s\n'
        'restart due    %s%s',
        c.node_id_bits, c.sequence_bits,
        coalesce(c.node_id::pg_catalog.text, 'none'), c.max_node_id,
        CASE c.node_id_source
            WHEN 'none' THEN 'no source: none is configured, and the machine has no address'
            WHEN 'address' THEN 'the machine''s address' || coalesce(' ' || pg_catalog.host(c.node_address), '')
            WHEN 'registry' THEN 'a registry'
            ELSE 'the server''s ' || c.node_id_source
        END,
        c.ids_per_millisecond - 1,
        c.ids_per_millisecond,
        c.custom_epoch, pg_catalog.to_char(c.epoch AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'),
        pg_catalog.to_char(c.exhausted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'),
        CASE WHEN c.preloaded THEN 'yes' ELSE 'no' END,
        CASE WHEN c.pending_restart THEN 'yes: the settings have changed since the server started' ELSE 'no' END,
        CASE WHEN c.node_id_source = 'registry' THEN E'\nclaim          '
            || coalesce('until ' || pg_catalog.to_char(s.claimed_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'none')
            || coalesce('; registry: ' || s.registry_error, '')
        END
    )
    FROM timeshard_config() AS c, timeshard_claim_status() AS s
);
