"""The Quart application: one place that puts the web layer together around the services."""

from __future__ import annotations

from quart import Quart

from quart_chat.services import Services
from quart_chat.web import errors, headers
from quart_chat.web.assets import Assets
from quart_chat.web.current import EXTENSION, Web
from quart_chat.web.guards import Guards
from quart_chat.web.page_frames import PageFrames
from quart_chat.web.request_ids import RequestIds
from quart_chat.web.routes import BLUEPRINTS
from quart_chat.web.templates import Templates
from quart_chat.web.views import PageViews

MAX_BODY_BYTES = 512 * 1024


def create_app(services: Services) -> Quart:
    """Serves `services`, which the caller starts before and closes after."""
    app = Quart("quart_chat", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    base_path = services.settings.base_path
    assets = Assets(base_path)
    templates = Templates(assets, base_path)
    views = PageViews(services, templates)
    app.extensions[EXTENSION] = Web(services, assets, templates, views, PageFrames(views))
    Guards(services.settings).install(app)
    headers.install(app)
    errors.install(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint, url_prefix=base_path or None)
    app.asgi_app = RequestIds(app.asgi_app, base_path)  # type: ignore[method-assign]
    return app
