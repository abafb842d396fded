"""The integrations of FastAPI and aiohttp, tested with these frameworks."""
