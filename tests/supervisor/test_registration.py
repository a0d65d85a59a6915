"""The entry in the state folder: how other commands reach the admin listener."""

from collections.abc import Iterator

import pytest

from strangler.state.folder import hold
from strangler.state.running import Running, read_running
from strangler.supervisor.registration import Registration
from tests.supervisor.stage import Stage

PEM = ("-----BEGIN CERTIFICATE-----\n",)


@pytest.fixture
def registration(stage: Stage) -> Iterator[Registration]:
    with hold(stage.folder, None, lambda pid: None) as state:
        yield Registration(state, stage.sockets, admin_has_tls=True)


def entry(stage: Stage) -> Running:
    found = read_running(stage.folder)
    assert found is not None
    return found


def test_tls_is_known_before_its_certificates_are(stage: Stage, registration: Registration) -> None:
    registration.publish()
    assert (entry(stage).admin_has_tls, entry(stage).admin_certificates) == (True, ())


def test_certificates_are_written_at_each_change_and_kept_while_it_drains(
    stage: Stage, registration: Registration
) -> None:
    registration.note_admin(PEM, is_published=False)  # another supervisor has the folder
    assert read_running(stage.folder) is None
    registration.publish()
    assert entry(stage).admin_certificates == PEM
    registration.publish_draining()
    assert (entry(stage).is_draining, entry(stage).admin_certificates) == (True, PEM)
    registration.note_admin((), is_published=True)
    assert (entry(stage).admin_has_tls, entry(stage).admin_certificates) == (False, ())
