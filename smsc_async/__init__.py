"""smsc_async."""
