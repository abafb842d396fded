"""Write and print the audit file of ten sends on the sandbox, and compare a text with a line.

pip install 'smsc-async[sandbox]'
python examples/audit.py
"""

import asyncio
import secrets
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from smsc_async import SmscError, testing
from smsc_async.audit import AuditLog
from smsc_async.sandbox import Sandbox


async def main() -> None:
    """Send ten messages, one of them without success."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.jsonl"
        # A program keeps its key, for example in the variable SMSC_AUDIT_KEY.
        audit = AuditLog(path, key=secrets.token_bytes(32))
        sandbox = Sandbox()
        async with testing.client(sandbox, observers=[audit]) as client:
            for number in range(10):
                if number == 9:  # noqa: PLR2004 - the last one
                    sandbox.faults.add("lose_request", operation="send", times=1)
                with suppress(SmscError):
                    await client.send(f"+7999123450{number}", f"Your code: {4820 + number}", cost=3)
        audit.close()
        text = path.read_text(encoding="utf-8")
        sys.stdout.write(text)
        first = text.splitlines()[0]
        sys.stdout.write(f"4820: {audit.matches(first, 'Your code: 4820')}, ")
        sys.stdout.write(f"4821: {audit.matches(first, 'Your code: 4821')}\n")


asyncio.run(main())
