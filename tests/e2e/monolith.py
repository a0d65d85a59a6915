"""A monolith as users have one: a Django project with its admin, sessions, CSRF protection, uploads, static files,
gzip, redirects and a websocket, written into a folder and served by uvicorn. Two instances share one database.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strangler.demo.children import free_ports
from tests.http1 import proxies

USER, PASSWORD = "ada", "correct horse"

_SETTINGS = """
from pathlib import Path
BASE = Path(__file__).parent.parent
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                  "django.contrib.sessions", "django.contrib.messages", "django.contrib.staticfiles", "shop"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.gzip.GZipMiddleware",
              "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
              "django.middleware.http.ConditionalGetMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware",
              "django.middleware.clickjacking.XFrameOptionsMiddleware"]
ROOT_URLCONF = "shop.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
    "context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                           "django.contrib.messages.context_processors.messages"]}}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE / "db.sqlite3", "OPTIONS": {
    "timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"}}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL, MEDIA_URL, MEDIA_ROOT = "/static/", "/media/", BASE / "media"
LOGIN_URL = "/admin/login/"
"""

_MODELS = """
from django.db import models

class Product(models.Model):
    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    picture = models.FileField(upload_to="pictures", blank=True)

    def __str__(self):
        return self.name

class Note(models.Model):
    text = models.CharField(max_length=100)
"""

_ADMIN = """
from django.contrib import admin
from shop.models import Product

admin.site.register(Product)
"""

_URLS = """
import hashlib
import json

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import path, re_path
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST
from django.views.static import serve

from shop.models import Note, Product

@ensure_csrf_cookie
def front(request):
    return render(request, "front.html", {"products": Product.objects.order_by("id")[:20]})

@login_required
def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"user": request.user.username, "visits": request.session["visits"]})

@login_required
@require_POST
def notes(request):
    return JsonResponse({"id": Note.objects.create(text=json.loads(request.body)["text"]).pk}, status=201)

@require_POST
def upload(request):
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "bytes": file.size, "sha256": hashlib.sha256(file.read()).hexdigest()})

def lines(request):
    return StreamingHttpResponse((f"line {i}\\n" for i in range(2000)), content_type="text/plain")

urlpatterns = [
    path("", front),
    path("admin/", admin.site.urls),
    path("api/visits", visits),
    path("api/notes", notes),
    path("api/upload", upload),
    path("lines", lines),
    path("old", lambda request: redirect("/moved?from=old")),
    path("moved", lambda request: redirect(request.build_absolute_uri("/?from=moved"), permanent=True)),
    path("favicon.ico", lambda request: HttpResponse(status=204)),  # browsers ask for it
    path("empty", lambda request: HttpResponse(status=204)),
    re_path(r"^media/(?P<path>.*)$", serve, {"document_root": settings.MEDIA_ROOT}),
]
"""

_FRONT = """<!doctype html><title>Shop</title>
<ul>{% for product in products %}<li>{{ product.name }}</li>{% endfor %}</ul>
<input id="say"><button id="send">send</button><p id="heard"></p>
<script>
window.live = {sent: 0, heard: 0, wrong: 0, closed: false};
const socket = new WebSocket("ws://" + location.host + "/live");
socket.onmessage = ({data}) => {
  if (!data.startsWith("tick ")) { document.getElementById("heard").textContent = data; return; }
  if (data !== "tick " + live.heard) live.wrong++;
  live.heard++;
};
socket.onclose = () => { live.closed = true; };
socket.onopen = () => setInterval(() => socket.send("tick " + live.sent++), 20);
document.getElementById("send").onclick = () => socket.send(document.getElementById("say").value);
</script>
"""

_ASGI = """
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

pages = ASGIStaticFilesHandler(get_asgi_application())

async def application(scope, receive, send):
    if scope["type"] == "http":
        await pages(scope, receive, send)
    elif scope["type"] == "websocket":
        await echo(receive, send)

async def echo(receive, send):
    while True:
        event = await receive()
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif event["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
        else:
            return
"""

_PREPARE = """
import os, sys

os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import django

django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from shop.models import Product

call_command("migrate", run_syncdb=True, verbosity=0)
User.objects.create_superuser(sys.argv[1], "", sys.argv[2])
for number in range(30):
    Product.objects.create(name=f"Product {number}", price=number)
"""

_COUNT = """
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import django

django.setup()
from shop.models import Note

print(*Note.objects.values_list("text", flat=True), sep="\\n")
"""


@dataclass(frozen=True, slots=True)
class Monolith:
    """Two instances of one application: the ports of both, and the folder with their code, database and uploads."""

    folder: Path
    first: int
    second: int

    def notes(self) -> list[str]:
        """The texts of all notes in the database."""
        return _python(self.folder, "count.py").splitlines()


@contextlib.contextmanager
def monolith(folder: Path) -> Iterator[Monolith]:
    _write(folder)
    _python(folder, "prepare.py", USER, PASSWORD)
    with _instance(folder, "first") as first, _instance(folder, "second") as second:
        yield Monolith(folder, first, second)


def _write(folder: Path) -> None:
    shop = folder / "shop"
    (shop / "templates").mkdir(parents=True)
    for name, text in (
        ("__init__", ""),
        ("settings", _SETTINGS),
        ("models", _MODELS),
        ("admin", _ADMIN),
        ("urls", _URLS),
        ("asgi", _ASGI),
    ):
        (shop / f"{name}.py").write_text(text)
    (shop / "templates" / "front.html").write_text(_FRONT)
    (folder / "prepare.py").write_text(_PREPARE)
    (folder / "count.py").write_text(_COUNT)


def _python(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def _instance(folder: Path, name: str) -> Iterator[int]:
    (port,) = free_ports(1)
    place = folder / name
    place.mkdir()
    command = [sys.executable, "-m", "uvicorn", "shop.asgi:application", "--port", str(port), "--app-dir", str(folder)]
    command += ["--ws", "websockets-sansio", "--log-level", "warning", "--timeout-graceful-shutdown", "1"]
    with proxies.running(f"monolith, {name} instance", command, port, place):
        yield port
