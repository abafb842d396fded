"""An unresolved send is plain data that can be stored."""

from datetime import UTC, datetime

import pytest

from smsc_async import MessageRef, UnresolvedSend

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
REFS = (MessageRef("+79991234567", "a1"), MessageRef("ann@example.com", "a1"))
UNRESOLVED = UnresolvedSend(id="a1", refs=REFS, groups=1, is_own_id=True, began=NOW, failed=NOW)


def test_unresolved_send_survives_json() -> None:
    assert UnresolvedSend.model_validate_json(UNRESOLVED.model_dump_json()) == UNRESOLVED


def test_unresolved_send_about_one_recipient_forgets_the_others() -> None:
    one = UNRESOLVED.about(REFS[1])
    assert (one.refs, one.groups, one.id, one.began, one.failed) == ((REFS[1],), 0, "a1", NOW, NOW)


@pytest.mark.parametrize("moment", ["began", "failed"])
def test_moment_without_a_zone_is_refused(moment: str) -> None:
    with pytest.raises(ValueError, match="must have a time zone"):
        UnresolvedSend.model_validate(UNRESOLVED.model_dump() | {moment: datetime(2026, 11, 25)})  # noqa: DTZ001 - that is the point
