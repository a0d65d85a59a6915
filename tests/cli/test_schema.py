"""`strangler schema`."""

import json
from pathlib import Path

from click.testing import CliRunner

from strangler.cli import main


def test_it_prints_the_schema_that_ships_with_the_docs() -> None:
    result = CliRunner().invoke(main, ["schema"])
    assert result.exit_code == 0
    shipped = Path(__file__).parents[2] / "docs" / "routes.schema.json"
    assert result.stdout == shipped.read_text()
    assert json.loads(result.stdout)["required"] == ["version", "upstreams"]
