"""The guard store that processes share: Redis or Valkey."""
