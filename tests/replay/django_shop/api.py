"""The JSON API of the shop, for scripts of its pages: it needs the session and the CSRF token in a field."""

import json

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.timezone import now

from tests.replay.django_shop.models import Line, Order, add_line


def _document(order: Order) -> dict[str, object]:
    lines = [{"id": line.pk, "name": line.name, "count": line.count} for line in order.line_set.order_by("id")]
    return {
        "id": order.pk,
        "reference": order.reference,
        "state": order.state,
        "lines": lines,
        "total_cents": order.total_cents(),
        "_links": {"self": {"href": f"/api/orders/{order.pk}"}, "page": {"href": f"/orders/{order.pk}/"}},
    }


def orders(request: HttpRequest) -> HttpResponse:
    """List the orders, the newest first, or make one of a document."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "sign in"}, status=401)
    if request.method != "POST":
        found = Order.objects.filter(owner=request.user).order_by("-id")
        return JsonResponse({"orders": [_document(order) for order in found], "at": now().isoformat()})
    order = Order.objects.create(owner=request.user)
    for line in json.loads(request.body)["lines"]:
        add_line(order, line["name"], line["count"])
    return JsonResponse(_document(order), status=201, headers={"Location": f"/api/orders/{order.pk}"})


def order(request: HttpRequest, number: int) -> HttpResponse:
    """Read an order, or change the counts of its lines: `{"lines": [{"id": 7, "count": 2}]}`."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "sign in"}, status=401)
    found = get_object_or_404(Order, pk=number, owner=request.user)
    if request.method == "PATCH":
        for change in json.loads(request.body)["lines"]:
            line = get_object_or_404(Line, pk=change["id"], order=found)
            line.count = change["count"]
            line.save()
    return JsonResponse(_document(found))


def merge(request: HttpRequest) -> HttpResponse:
    """Move the lines of several orders into the first of them: `{"orders": [7, 9]}`."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "sign in"}, status=401)
    numbers = json.loads(request.body)["orders"]
    found = [get_object_or_404(Order, pk=number, owner=request.user) for number in numbers]
    for other in found[1:]:
        other.line_set.update(order=found[0])
        other.delete()
    return JsonResponse(_document(found[0]))
