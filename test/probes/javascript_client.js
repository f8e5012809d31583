// A client as applications have it: node-postgres reads IDs from a server, in
// each way that doc/javascript.md speaks of, and sends them back. It compares
// nothing: each way prints one line of JSON with what has come out, as text, and
// clients_javascript.pl holds that against the server's own text.
//
// The connection is that of PGHOST, PGPORT, PGDATABASE and PGUSER.
'use strict';

const pg = require('pg');

function report(way, values) {
    console.log(JSON.stringify({ way, type: typeof values[0], ids: values.map(String) }));
}

async function connected(work, prepare = () => {}) {
    const client = new pg.Client();
    prepare(client);
    await client.connect();
    try {
        await work(client);
    } finally {
        await client.end();
    }
}

// The values of the only column.
async function column(client, text, values) {
    const result = await client.query({ text, values, rowMode: 'array' });
    return result.rows.map((row) => row[0]);
}

// Each key on its own, sent as the parameter of a query; what the server finds,
// or how it answers.
async function found(client, keys, condition = 'id = $1') {
    const query = { name: condition, text: `SELECT id::text FROM orders WHERE ${condition}`, rowMode: 'array' };
    const ids = [];
    for (const key of keys) {
        const answer = await client.query({ ...query, values: [key] }).catch((error) => error.code);
        ids.push(answer.rows ? String(answer.rows[0]) : answer);
    }
    return ids;
}

const all = 'SELECT id FROM orders ORDER BY id';
const ids = (documents) => documents.map((document) => document.id);

async function keys(client) {
    const strings = await column(client, all);
    report('a key', strings);
    report('a key, sent back', await found(client, strings));
    report('Number()', strings.map(Number));
    report('Number(), its value', strings.map((id) => BigInt(Number(id))));
    report('Number(), sent back', await found(client, strings.map(Number)));
    report('BigInt(), sent back', await found(client, strings.map(BigInt)));

    report('an array', (await column(client, 'SELECT array_agg(id ORDER BY id) FROM orders'))[0]);
    const any = 'SELECT id FROM orders WHERE id = ANY ($1) ORDER BY id';
    report('an array of strings, sent back', await column(client, any, [strings]));
    report('an array of BigInt, sent back', await column(client, any, [strings.map(BigInt)]));
    report('binary', (await client.query({ text: all, binary: true })).rows.map((row) => row.id));
    report('RETURNING', await column(client, 'INSERT INTO made (n) SELECT generate_series(1, 100) RETURNING id'));
}

async function codes(client) {
    const made = await column(client, 'SELECT timeshard_encode(id) FROM orders');
    const sorted = made.sort();
    const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
    const decode = (code) => [...code].reduce((id, digit) => (id << 5n) | BigInt(digits.indexOf(digit)), 0n);
    report('a code, sorted and decoded here', sorted.map(decode));
    report('a code, sent back', await found(client, sorted, 'id = timeshard_decode($1)'));
}

async function documents(client) {
    const built = (document) => column(client, `SELECT ${document} FROM orders AS o ORDER BY o.id`);
    report('json, a number', ids(await built("json_build_object('id', id)")));
    report('json, text', ids(await built("json_build_object('id', id::text)")));
    report('a row', ids(await built('to_jsonb(o)')));
    report('a row, ->>', await built("to_jsonb(o)->>'id'"));
    report('a row, ||', ids(await built("to_jsonb(o) || jsonb_build_object('id', o.id::text)")));
    report('a row, jsonb_set', ids(await built("jsonb_set(to_jsonb(o), '{id}', to_jsonb(o.id::text))")));

    const view = 'orders_for_clients AS v ORDER BY v.key';
    report('a view', await column(client, `SELECT v.id FROM ${view}`));
    report('a view, a row', ids(await column(client, `SELECT to_jsonb(v) FROM ${view}`)));
    const list = await column(client, 'SELECT json_agg(v ORDER BY v.key) FROM orders_for_clients AS v');
    report('a view, json_agg', ids(list[0]));
    report('a view, its other column', list[0].map((row) => row.key));

    // What a browser would have sent.
    const read = 'SELECT r.id::text FROM jsonb_populate_recordset(NULL::orders, $1) AS r ORDER BY r.id';
    report('json with text, sent back', await column(client, read, [JSON.stringify(list[0])]));
    const narrow = list[0].filter((row) => BigInt(row.id) < 2n ** 62n).map((row) => ({ id: Number(row.id) }));
    report('json with numbers, sent back', await column(client, read, [JSON.stringify(narrow)]));
}

// Parsers for bigint (20) and its arrays (1016), of one connection or of all.
async function parsers() {
    await connected(
        async (client) => report('setTypeParser, Number', await column(client, all)),
        (client) => client.setTypeParser(20, Number));

    pg.defaults.parseInt8 = true;
    await connected(async (client) => report('parseInt8', await column(client, all)));
    pg.defaults.parseInt8 = false;

    const parseArray = pg.types.getTypeParser(1016);
    pg.types.setTypeParser(20, BigInt);
    await connected(async (client) => {
        const bigints = await column(client, all);
        report('setTypeParser, BigInt', bigints);
        report('setTypeParser, BigInt, sent back', await found(client, bigints));
        const array = 'SELECT array_agg(id ORDER BY id) FROM orders';
        report('setTypeParser, BigInt, an array', (await column(client, array))[0]);
        pg.types.setTypeParser(1016, (text) => parseArray(text).map(BigInt));
        report('setTypeParser of arrays, BigInt', (await column(client, array))[0]);
        const insert = 'INSERT INTO made (n) SELECT generate_series(101, 200) RETURNING id';
        report('setTypeParser, BigInt, RETURNING', await column(client, insert));

        // A document of BigInt is refused before it is sent.
        const refused = await client.query('SELECT $1::jsonb', [{ id: bigints[0] }]).catch((error) => error.name);
        report('a document of BigInt', [refused]);
        const replacer = (key, value) => (typeof value === 'bigint' ? String(value) : value);
        report('a document of BigInt, with a replacer',
            ids(JSON.parse(JSON.stringify(bigints.map((id) => ({ id })), replacer))));
    });
}

async function main() {
    await connected(keys);
    await connected(codes);
    await connected(documents);
    await parsers();
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
