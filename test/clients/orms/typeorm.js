const source = require('./source.js');

await source.initialize();
await source.runMigrations();
const ada = await source.getRepository('Customer').save({ name: 'Ada' });
const orders = source.getRepository('Order');
await orders.save(['lamp', 'chair', 'table', 'rug'].map((item) => ({ customer: ada, item })));
const found = await orders.find({ relations: { customer: true }, order: { id: 'ASC' } });
console.log(found[0].customer.id, found.map((order) => order.id).join(' '));
await source.destroy();
