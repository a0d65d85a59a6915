"""The resources behind the tokens: a profile, projects that need a nonce of the response before, and uploads."""

import json
import secrets
from uuid import uuid4

from django.contrib.auth import authenticate, login
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.decorators import protected_resource


def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign a user in, for the authorization code flow."""
    if request.method != "POST":
        return render(request, "sign_in.html", {"next": request.GET.get("next", "/")})
    user = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
    if user is None:
        return render(request, "sign_in.html", {"next": request.POST.get("next", "/")}, status=401)
    login(request, user)
    return redirect(request.POST["next"])


def callback(request: HttpRequest) -> HttpResponse:
    """Receive the code of an authorization, as a client's page does."""
    return JsonResponse({"state": request.GET["state"]})


@protected_resource(scopes=["read"])
def profile(request: HttpRequest) -> HttpResponse:
    response = JsonResponse({"name": str(request.resource_owner), "session": {"upload": {"key": _upload_key(request)}}})
    return _with_nonce(response)


def _upload_key(request: HttpRequest) -> str:
    """Return a new key with characters that URLs escape."""
    key = f"up/{secrets.token_hex(5)}+{secrets.token_hex(5)}=="
    cache.set(key, str(request.resource_owner))
    return key


@csrf_exempt
@protected_resource(scopes=["write"])
def projects(request: HttpRequest) -> HttpResponse:
    """Make a project, by the nonce of the response before."""
    if request.method != "POST" or not cache.delete(f"nonce {request.headers.get('X-Nonce', '')}"):
        return _with_nonce(JsonResponse({"error": "a new nonce is needed"}, status=400))
    number = str(uuid4())
    cache.set(f"project {number}", json.loads(request.body)["name"])
    response = JsonResponse({"project": {"id": number, "owner": {"name": str(request.resource_owner)}}}, status=201)
    return _with_nonce(response)


@protected_resource(scopes=["read"])
def project(request: HttpRequest, number: str) -> HttpResponse:
    name = cache.get(f"project {number}")
    return JsonResponse({"id": number, "name": name}, status=404 if name is None else 200)


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    """Take an upload by the key in its query alone."""
    is_known = cache.get(request.GET.get("key", "")) is not None
    return JsonResponse({"received": len(request.body)}, status=200 if is_known else 403)


def _with_nonce(response: HttpResponse) -> HttpResponse:
    nonce = secrets.token_urlsafe(12)
    cache.set(f"nonce {nonce}", True)
    response["X-Nonce"] = nonce
    return response
