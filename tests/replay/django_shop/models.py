"""The tables of the shop: orders of its users, and the lines of each."""

import secrets

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models


def _reference() -> str:
    return secrets.token_hex(6)


class Order(models.Model):
    owner = models.ForeignKey(User, models.CASCADE)
    reference = models.CharField(max_length=20, default=_reference)
    """The number that customers know."""
    state = models.CharField(max_length=10, default="open")

    class Meta:
        app_label = "django_shop"

    def total_cents(self) -> int:
        if settings.HAS_WRONG_TOTALS:
            return sum(line.price_cents for line in self.line_set.all())
        return sum(line.price_cents * line.count for line in self.line_set.all())


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE)
    name = models.CharField(max_length=50)
    price_cents = models.IntegerField()
    count = models.IntegerField()

    class Meta:
        app_label = "django_shop"


PRICES = {"lamp": 350, "chair": 1999, "desk": 12000}


def add_line(order: Order, name: str, count: int) -> Line:
    line: Line = Line.objects.create(order=order, name=name, price_cents=PRICES[name], count=count)
    return line
