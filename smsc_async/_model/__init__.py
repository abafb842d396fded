"""What is said: frozen values without I/O, clock or log."""
