"""A bulk job on disk, so that it survives its process."""
