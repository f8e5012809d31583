from sqlalchemy import Column, ForeignKey, Text, create_engine, select, text
from sqlalchemy.orm import Session, declarative_base, relationship
Base = declarative_base()


class Buyer(Base):
    __tablename__ = "buyers"
    id = Column(Key("buyer_id"), primary_key=True, server_default=text("timeshard_next_id()"))
    name = Column(Text, nullable=False)
    sales = relationship("Sale", order_by="Sale.id")


class Sale(Base):
    __tablename__ = "sales"
    id = Column(Key("sale_id"), primary_key=True, server_default=text("timeshard_next_id()"))
    buyer_id = Column(Key("buyer_id"), ForeignKey("buyers.id"), nullable=False)
    item = Column(Text, nullable=False)


engine = create_engine("postgresql+psycopg2://", future=True)
Base.metadata.create_all(engine)
session = Session(engine, future=True)
ada = Buyer(name="Ada", sales=[Sale(item=item) for item in ("lamp", "chair", "table", "rug")])
session.add(ada)
session.commit()
print(ada.id[:4], session.scalars(select(Sale.item).where(Sale.buyer_id == ada.id).order_by(Sale.id)).all())
