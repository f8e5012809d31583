const { asc, eq, sql } = require('drizzle-orm');
const { customType, pgTable, text } = require('drizzle-orm/pg-core');
const { drizzle } = require('drizzle-orm/node-postgres');
const { Pool } = require('pg');

const buyers = pgTable('buyers', {
    id: customType({ dataType: () => 'buyer_id' })('id').primaryKey().default(sql`timeshard_next_id()`),
    name: text('name').notNull(),
});
const sales = pgTable('sales', {
    id: customType({ dataType: () => 'sale_id' })('id').primaryKey().default(sql`timeshard_next_id()`),
    buyerId: customType({ dataType: () => 'buyer_id' })('buyer_id').notNull().references(() => buyers.id),
    item: text('item').notNull(),
});
const pool = new Pool();
const db = drizzle(pool);
const [ada] = await db.insert(buyers).values({ name: 'Ada' }).returning();
await db.insert(sales).values(['lamp', 'chair', 'table', 'rug'].map((item) => ({ buyerId: ada.id, item })));
const found = await db.select({ item: sales.item }).from(sales).where(eq(sales.buyerId, ada.id)).orderBy(asc(sales.id));
console.log(ada.id.slice(0, 4), JSON.stringify(found));
await pool.end();
