const { drizzle } = require('drizzle-orm/node-postgres');
const { migrate } = require('drizzle-orm/node-postgres/migrator');
const { Pool } = require('pg');
const { customers, orders } = require('./schema.js');

const pool = new Pool();
const db = drizzle(pool);
await migrate(db, { migrationsFolder: './drizzle' });

const [ada] = await db.insert(customers).values({ name: 'Ada' }).returning();
const made = await db.insert(orders)
    .values(['lamp', 'chair', 'table', 'rug'].map((item) => ({ customerId: ada.id, item })))
    .returning({ id: orders.id });
console.log(String(ada.id), made.map((order) => order.id).join(' '));
await pool.end();
