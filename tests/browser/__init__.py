"""The pages of the sandbox in Chromium."""
