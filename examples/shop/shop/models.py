"""What the shop sells: prints of its customers' photos."""

from decimal import Decimal

from django.db import models


class Order(models.Model):
    customer = models.CharField(max_length=100)
    email = models.EmailField()
    day = models.DateField()
    copies = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=6, decimal_places=2)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"Order {self.pk} of {self.customer}"

    @property
    def total(self) -> Decimal:
        return self.price * self.copies
