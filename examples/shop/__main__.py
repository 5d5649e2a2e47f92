"""`python -m examples.shop`: the shop's pages on SHOP_PORT (8091)."""

import uvicorn

from examples.shop.app import make_app
from examples.shop.settings import read

settings = read()
uvicorn.run(make_app(settings), host="127.0.0.1", port=settings.port, log_level="warning")
