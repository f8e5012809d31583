const { DataSource, EntitySchema } = require('typeorm');

const Buyer = new EntitySchema({ name: 'Buyer', tableName: 'buyers', columns: {
    id: { type: 'buyer_id', primary: true, default: () => 'timeshard_next_id()' },
    name: { type: 'text' },
} });
const Sale = new EntitySchema({
    name: 'Sale',
    tableName: 'sales',
    columns: { id: { type: 'sale_id', primary: true, default: () => 'timeshard_next_id()' }, buyerId: { type: 'buyer_id', name: 'buyer_id' }, item: { type: 'text' } },
});
const source = new DataSource({ type: 'postgres', entities: [Buyer, Sale] });
source.driver.supportedDataTypes.push('buyer_id');
source.driver.supportedDataTypes.push('sale_id');
await source.initialize();
const ada = await source.getRepository('Buyer').save({ name: 'Ada' });
const sales = source.getRepository('Sale');
await sales.save(['lamp', 'chair', 'table', 'rug'].map((item) => ({ buyerId: ada.id, item })));
const found = await sales.find({ select: { item: true }, where: { buyerId: ada.id }, order: { id: 'ASC' } });
console.log(ada.id.slice(0, 4), JSON.stringify(found));
await source.destroy();
