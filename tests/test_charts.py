"""The charts of benchmarks/README.md are drawn from the tables beside them."""

from pathlib import Path

import pytest

from tests.parts import need_libraries

need_libraries("matplotlib")

from benchmarks import charts  # noqa: E402 - it needs matplotlib


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("polling_rivals", ["plan, warm", "back-off", "requests a message"]),
        ("campaign", ["smsc_async, workers=1", "zeep AsyncClient, gather of 14", "PHP SoapClient, in sequence"]),
        ("peers", ["smsc_async, aiohttp", "raw aiohttp", "50 in flight"]),
    ],
)
def test_a_chart_shows_what_its_table_has(name: str, words: list[str], tmp_path: Path) -> None:
    charts.draw([name], tmp_path)
    drawn = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    assert [each for each in words if each not in drawn] == []
    assert f"results/{name}.svg" in (charts.RESULTS.parent / "README.md").read_text(encoding="utf-8")
