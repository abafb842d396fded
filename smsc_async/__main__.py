"""The program `smsc-async`, also `python -m smsc_async`."""

import gc
import io
import sys

__all__ = ["main"]

_INTERRUPTED = 130
_USAGE = 2


def main() -> None:
    """Run the command line, and exit the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the console can't show is escaped
    try:
        # Imported here so that a missing extra is reported in one sentence, and Ctrl-C during the import is handled.
        gc.disable()  # nothing that is imported becomes garbage
        from ._cli import commands  # noqa: PLC0415

        gc.freeze()
        gc.enable()
        commands()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich", "click"}:
            raise
        sys.stderr.write("the command line needs extra packages: pip install 'smsc-async[cli]'\n")
        sys.exit(_USAGE)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
