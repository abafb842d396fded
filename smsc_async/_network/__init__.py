"""How bytes travel: the `Transport` protocol and its two implementations."""
