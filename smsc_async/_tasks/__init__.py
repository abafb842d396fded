"""What the taskiq tasks are made of: queue, claims, results."""
