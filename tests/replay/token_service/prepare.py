"""Makes the database of a token service: `python -m tests.replay.token_service.prepare USER PASSWORD CLIENT SECRET`.

The client may use each flow: one registration for each, as the library wants it.
"""

import os
import sys

import django


def prepare(user: str, password: str, client: str, secret: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.replay.token_service.settings"
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    owner = User.objects.create_user(user, password=password)
    for grant in ("password", "client-credentials", "authorization-code"):
        Application.objects.create(
            name=grant,
            client_id=f"{client}-{grant}",
            client_secret=secret,
            client_type="confidential",
            authorization_grant_type=grant,
            redirect_uris="http://127.0.0.1/callback",
            user=owner,
            skip_authorization=True,
        )


if __name__ == "__main__":
    prepare(*sys.argv[1:5])
