"""Following the delivery of messages."""
