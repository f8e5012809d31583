import django

django.setup()

from shop.models import Buyer, Sale

ada = Buyer.objects.create(name="Ada")
sales = Sale.objects.bulk_create(Sale(buyer=ada, item=item) for item in ("lamp", "chair", "table", "rug"))
print(ada.id[:4], list(Sale.objects.filter(buyer=ada.id, id__in=[sale.id for sale in sales]).order_by("id").values_list("item", flat=True)))
