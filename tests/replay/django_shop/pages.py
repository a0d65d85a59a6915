"""The pages of the shop, for browsers."""

from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from tests.replay.django_shop.models import Order, add_line


def front(request: HttpRequest) -> HttpResponse:
    return render(request, "front.html", {"basket": request.session.get("basket", [])})


@require_POST
def basket(request: HttpRequest) -> HttpResponse:
    """Put a thing into the basket of a visitor, who has a session from then on."""
    request.session["basket"] = [*request.session.get("basket", []), request.POST["thing"]]
    return redirect("/")


def sign_in(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "login.html", {"next": request.GET.get("next", "/orders/")})
    user = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
    if user is None:
        return render(request, "login.html", {"next": "/orders/", "failed": True}, status=401)
    login(request, user)
    return redirect(request.POST.get("next") or "/orders/")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("/")


@login_required
def orders(request: HttpRequest) -> HttpResponse:
    """List the orders of a user, the newest first, or make one of the basket and what the form names."""
    if request.method != "POST":
        found = Order.objects.filter(owner=request.user).order_by("-id")
        return render(request, "orders.html", {"orders": found})
    order = Order.objects.create(owner=request.user)
    for thing in [*request.session.pop("basket", []), request.POST["thing"]]:
        add_line(order, thing, int(request.POST.get("count", "1")))
    return redirect(f"/orders/{order.pk}/")


@login_required
def order(request: HttpRequest, number: int) -> HttpResponse:
    found = get_object_or_404(Order, pk=number, owner=request.user)
    return render(request, "order.html", {"order": found})


@login_required
@require_POST
def pay(request: HttpRequest) -> HttpResponse:
    """Pay the order that a hidden field names."""
    found = get_object_or_404(Order, pk=request.POST["order_id"], reference=request.POST["reference"])
    found.state = "paid"
    found.save()
    return redirect(f"/orders/{found.pk}/?paid={found.reference}")
