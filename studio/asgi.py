"""Pages and sockets for an ASGI server."""

from __future__ import annotations

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")
pages = get_asgi_application()  # loads the apps, which everything below needs

from channels.auth import AuthMiddlewareStack  # noqa: E402

from generator.consumers import websocket_urlpatterns  # noqa: E402
from studio.bodies import BodyLimit  # noqa: E402

# Exact origins: AllowedHostsOriginValidator takes any port and both schemes.
sockets = OriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), settings.ORIGINS)
application = ProtocolTypeRouter({"http": BodyLimit(pages), "websocket": sockets})
