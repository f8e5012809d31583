import django

django.setup()

from shop.models import Customer, Order

ada = Customer.objects.create(name="Ada")
lamp = Order.objects.create(customer=ada, item="lamp")
others = Order.objects.bulk_create(Order(customer=ada, item=item) for item in ("chair", "table", "rug"))
print(ada.id, lamp.id, [order.id for order in others])
