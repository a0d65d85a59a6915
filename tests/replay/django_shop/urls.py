"""The addresses of the shop."""

from django.urls import path

from tests.replay.django_shop import api, pages

urlpatterns = [
    path("", pages.front),
    path("basket/", pages.basket),
    path("login/", pages.sign_in),
    path("logout/", pages.sign_out),
    path("orders/", pages.orders),
    path("orders/<int:number>/", pages.order),
    path("payments/", pages.pay),
    path("api/orders", api.orders),
    path("api/orders/merge", api.merge),
    path("api/orders/<int:number>", api.order),
]
