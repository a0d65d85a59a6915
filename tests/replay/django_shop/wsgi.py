"""The shop as a server runs it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.replay.django_shop.settings"
application = get_wsgi_application()
