"""Many messages in one call, and sends whose answer was lost."""
