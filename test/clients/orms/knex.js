const knex = require('knex')({ client: 'pg', connection: {} });

await knex.migrate.latest();
const [ada] = await knex('customers').insert({ name: 'Ada' }).returning('id');
const made = await knex('orders')
    .insert(['lamp', 'chair', 'table', 'rug'].map((item) => ({ customer_id: ada.id, item })))
    .returning('id');
console.log(ada.id, made.map((order) => order.id).join(' '));
await knex.destroy();
