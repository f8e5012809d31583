class Buyer(models.Model):
    id = TypedKeyField("buyer_id", primary_key=True)
    name = models.TextField()


class Sale(models.Model):
    id = TypedKeyField("sale_id", primary_key=True)
    buyer = models.ForeignKey(Buyer, models.PROTECT, related_name="sales")
    item = models.TextField()
