"""Makes a picture of every page in both themes and sizes: `python -m tests.browser.shots FOLDER`."""

import sys
from pathlib import Path

from .chromium import SIZES, THEMES, browser, window
from .stage import SCENES, staged


def main(folder: Path) -> None:
    """Write the pictures.

    Args:
        folder: Where they are written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with staged() as stage, browser() as started:
        for theme in THEMES:
            for width in SIZES:
                with window(started, width, theme) as context:
                    page = context.new_page()
                    for scene in SCENES:
                        page.goto(stage.url(scene))
                        page.wait_for_timeout(300)  # the clock and the fonts
                        page.screenshot(path=folder / f"{scene.name}-{width}-{theme}.png", full_page=True)
    sys.stdout.write(f"{len(SCENES) * len(THEMES) * len(SIZES)} pictures in {folder}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
