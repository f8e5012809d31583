const { Client } = require('pg');

const client = new Client();
await client.connect();
const { rows: [buyer] } = await client.query('INSERT INTO buyers (name) VALUES ($1) RETURNING id', ['Ada']);
const { rows: sales } = await client.query(
    'INSERT INTO sales (buyer_id, item) SELECT $1, unnest($2::text[]) RETURNING id',
    [buyer.id, ['lamp', 'chair', 'table', 'rug']]);
const { rows: found } = await client.query('SELECT item FROM sales WHERE id = ANY($1) ORDER BY id', [sales.map((sale) => sale.id)]);
console.log(typeof buyer.id, buyer.id.slice(0, 4), JSON.stringify(found));
await client.end();
