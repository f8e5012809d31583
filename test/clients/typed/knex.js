const knex = require('knex')({ client: 'pg', connection: {} });

await knex.schema.createTable('buyers', (table) => {
    table.specificType('id', 'buyer_id').primary().defaultTo(knex.raw('timeshard_next_id()'));
    table.text('name').notNullable();
});
await knex.schema.createTable('sales', (table) => {
    table.specificType('id', 'sale_id').primary().defaultTo(knex.raw('timeshard_next_id()'));
    table.specificType('buyer_id', 'buyer_id').notNullable().references('buyers.id');
    table.text('item').notNullable();
});
const [ada] = await knex('buyers').insert({ name: 'Ada' }).returning('id');
await knex('sales').insert(['lamp', 'chair', 'table', 'rug'].map((item) => ({ buyer_id: ada.id, item })));
console.log(ada.id.slice(0, 4), JSON.stringify(await knex('sales').select('item').where({ buyer_id: ada.id }).orderBy('id')));
await knex.destroy();
