"""Makes the database of a shop: `python -m tests.replay.django_shop.prepare USER PASSWORD NUMBER`.

NUMBER orders of somebody else come first, so that those of another shop have other ids.
"""

import os
import sys

import django


def prepare(user: str, password: str, others: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.replay.django_shop.settings"
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from tests.replay.django_shop.models import Order, add_line

    call_command("migrate", run_syncdb=True, verbosity=0)
    User.objects.create_user(user, password=password)
    other = User.objects.create_user("eve")
    for _ in range(others):
        add_line(Order.objects.create(owner=other), "desk", 1)


if __name__ == "__main__":
    prepare(sys.argv[1], sys.argv[2], int(sys.argv[3]))
