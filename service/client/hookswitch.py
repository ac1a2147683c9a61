"""`import hookswitch`: what the client gives, under the name that the product has.

    from hookswitch import Client, verify_feed

Installed as a module of that name (pyproject.toml); in this repository the client is `service.client`.
"""

from service.client import *  # noqa: F403 - exactly what the client says it gives
from service.client import __all__  # noqa: F401 - and it is all
