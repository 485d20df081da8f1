"""The service: pages and a JSON API over indexes. FastAPI and uvicorn are imported when it starts, not before."""

from graphret.serve.config import ServeConfig
from graphret.serve.server import serve

__all__ = ["ServeConfig", "serve"]
