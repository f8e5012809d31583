from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

engine = create_engine("postgresql+psycopg2://", future=True)
Base.metadata.create_all(engine)
session = Session(engine, future=True)

ada = Customer(name="Ada", orders=[Order(item="lamp"), Order(item="chair")])
session.add(ada)
session.commit()
print(ada.id, [order.id for order in ada.orders], [order.customer_id for order in ada.orders])

rows = [{"customer_id": ada.id, "item": "table"}, {"customer_id": ada.id, "item": "rug"}]
orders = session.execute(insert(Order).values(rows).returning(Order.id)).scalars().all()
session.commit()
print(orders)
