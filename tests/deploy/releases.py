"""The values that the chart is tried with: its own, those that docs/kubernetes.md shows, and the files in values/."""

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy.helm import ROOT, render

PAGE: Final = (ROOT / "docs" / "kubernetes.md").read_text()
_FILES: Final = Path(__file__).with_name("values")


def block(language: str, begins: str) -> str:
    """Return the block of the page that begins so."""
    (found,) = [text.split("```")[0] for text in PAGE.split(f"```{language}\n")[1:] if text.startswith(begins)]
    return found


def _all() -> dict[str, dict[str, Any]]:
    fleet = yaml.safe_load(block("yaml", "# values.yaml")) | {"config": {"routes": block("yaml", "# routes.yaml")}}
    files = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(_FILES.glob("*.yaml"))}
    return {"defaults": {}, "fleet": fleet, "single": yaml.safe_load(block("yaml", "# single.yaml")), **files}


RELEASES: Final = _all()


@cache
def objects(release: str) -> tuple[dict[str, Any], ...]:
    """Return the objects of a release by the name of its values."""
    return tuple(render(RELEASES[release]))


def only(release: str, kind: str, ending: str = "") -> dict[str, Any]:
    """Return the object of that kind, and with that ending of its name."""
    (found,) = [each for each in objects(release) if each["kind"] == kind and each["metadata"]["name"].endswith(ending)]
    return found


def node(release: str) -> dict[str, Any]:
    """Return the specification of the pods."""
    specification: dict[str, Any] = only(release, "Deployment")["spec"]["template"]["spec"]
    return specification


def container(release: str) -> dict[str, Any]:
    (found,) = node(release)["containers"]
    return dict(found)
