import psycopg

connection = psycopg.connect(autocommit=True)
buyer = connection.execute("INSERT INTO buyers (name) VALUES ('Ada') RETURNING id").fetchone()[0]
for item in ("lamp", "chair", "table", "rug"):
    connection.execute("INSERT INTO sales (buyer_id, item) VALUES (%s, %s)", [buyer, item])
sales = connection.execute("SELECT id FROM sales WHERE buyer_id = %s ORDER BY id", [buyer]).fetchall()
found = connection.execute("SELECT item FROM sales WHERE id = ANY(%s) ORDER BY id", [[sale[0] for sale in sales]]).fetchall()
print(type(buyer).__name__, buyer[:4], len(sales), found)
