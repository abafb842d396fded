"""The room of the network brings its transports on demand."""

import pytest

from smsc_async import _network


def test_the_network_has_no_other_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Carrier'"):
        _ = _network.Carrier
