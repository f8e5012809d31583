// node-postgres, for clients_pgbouncer_prepared.pl: with "count", says at which run a
// statement is prepared; else runs it on one server connection of two, and then on
// the other, with "do-not" as a client that prepares nothing.
'use strict';

const { Client } = require('pg');

const how = process.argv[2];
const text = 'INSERT INTO customers (name) VALUES ($1) RETURNING id, pg_backend_pid() AS pid';

async function connected() {
    const client = new Client();
    await client.connect();
    return client;
}

async function insert(client, times) {
    const pids = new Set();
    for (let run = 0; run < times; run++) {
        const query = { text, values: ['Ada'], ...(how === 'do-not' ? {} : { name: 'insert' }) };
        pids.add((await client.query(query)).rows[0].pid);
    }
    return [...pids].join(' ');
}

async function main() {
    const client = await connected();
    if (how === 'count') {
        for (let run = 1; run < 20; run++) {
            await insert(client, 1);
            const { rows } = await client.query('SELECT FROM pg_prepared_statements');
            if (rows.length > 0) {
                console.log(`first ${run}`);
                break;
            }
        }
        return client.end();
    }

    // One is taken: the client prepares on the other. Then that one is taken instead.
    const [first, second] = [await connected(), await connected()];
    await first.query('BEGIN');
    await first.query('SELECT 1');
    const before = await insert(client, 10);
    await second.query('BEGIN');
    await second.query('SELECT 1');
    await first.query('COMMIT');
    const after = await insert(client, 10);
    await second.query('COMMIT');
    const both = /^\d+$/.test(before) && /^\d+$/.test(after) && before !== after;
    console.log(both ? 'runs on both connections' : `${before}, ${after}`);
    for (const each of [client, first, second]) {
        await each.end();
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
