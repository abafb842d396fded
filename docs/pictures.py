"""Makes the pictures of the README, with Debian's Chromium: `python docs/pictures.py`."""

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from rich.console import Console  # noqa: E402 - found by the line above
from rich.text import Text  # noqa: E402

from tests.browser.chromium import browser, window  # noqa: E402
from tests.browser.stage import SCENES, staged  # noqa: E402

COMMAND: Final = "smsc-async demo"


def inbox(file: Path) -> None:
    """Make a picture of the inbox."""
    with staged() as stage, browser() as started, window(started, 1440, "light") as context:
        page = context.new_page()
        page.goto(stage.url(SCENES[0]))
        page.wait_for_timeout(500)  # the clock and the fonts
        page.screenshot(path=file)


def demo(file: Path) -> None:
    """Make a picture of a terminal after the demonstration."""
    ran = subprocess.run(
        [sys.executable, "-m", "smsc_async", "demo"],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "76", "PATH": ""},
    )
    console = Console(record=True, width=76, file=io.StringIO())
    console.print(Text(f"$ {COMMAND}\n", style="bold"), Text(ran.stdout.rstrip()), sep="")
    svg = console.export_svg(title=COMMAND, unique_id="demo")
    file.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")  # loads no font


if __name__ == "__main__":
    inbox(HERE / "_static" / "inbox.png")
    demo(HERE / "_static" / "demo.svg")
