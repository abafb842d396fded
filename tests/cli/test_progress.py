"""Progress is a live bar on a terminal, and a line for each tenth elsewhere."""

import io

from rich.console import Console

from smsc_async._cli.progress import progress


def test_a_terminal_gets_a_live_bar_for_each_stage() -> None:
    screen = io.StringIO()
    with progress(Console(file=screen, force_terminal=True, width=80), 10, sent=7, final=2) as stages:
        stages["final"](4, 9)
    assert "7/10" in screen.getvalue()
    assert "4/9" in screen.getvalue().replace(" ", "")


def test_a_file_gets_one_line_for_each_tenth() -> None:
    screen = io.StringIO()
    with progress(Console(file=screen, width=80), 100, sent=20, final=0) as stages:
        for done in range(21, 41):
            stages["sent"](done, 100)
        stages["final"](3, 30)
    assert screen.getvalue().splitlines() == [
        "sent 30 of 100, final 0 of 100",
        "sent 40 of 100, final 0 of 100",
        "sent 40 of 100, final 3 of 30",
    ]


def test_a_quiet_console_and_no_messages_show_nothing() -> None:
    for is_terminal in (True, False):
        screen = io.StringIO()
        with progress(Console(file=screen, force_terminal=is_terminal, quiet=True), 0, sent=0) as stages:
            stages["sent"](1, 1)
        assert screen.getvalue() == ""
