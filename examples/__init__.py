"""Complete applications to copy; the docstring of each has the commands that run it on the sandbox."""
