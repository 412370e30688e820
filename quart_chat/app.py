"""The Quart application: one place that puts the web layer together around the services."""

from __future__ import annotations

from quart import Quart

from quart_chat.edge.layers import guarded
from quart_chat.edge.pace import Pace
from quart_chat.services import Services
from quart_chat.web import errors
from quart_chat.web.assets import Assets
from quart_chat.web.current import EXTENSION, Web
from quart_chat.web.dashboard_frames import DashboardFrames
from quart_chat.web.dashboard_views import DashboardViews
from quart_chat.web.guards import Guards
from quart_chat.web.limits import Limits, body_limit
from quart_chat.web.model_page import ModelViews
from quart_chat.web.page_frames import PageFrames
from quart_chat.web.request_ids import RequestIds
from quart_chat.web.routes import BLUEPRINTS
from quart_chat.web.socket import TakingWebsocket
from quart_chat.web.templates import Templates
from quart_chat.web.views import PageViews


def create_app(services: Services) -> Quart:
    """Serves `services`, which the caller starts before and closes after."""
    app = Quart("quart_chat", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = None  # decided before Quart, by edge.bodies
    app.websocket_class = TakingWebsocket
    settings = services.settings
    base_path = settings.base_path
    assets = Assets(base_path)
    templates = Templates(assets, base_path, settings.compiled_path)
    services.warm_ups.append(templates.load_all)
    views = PageViews(services, templates)
    dashboard = DashboardFrames(DashboardViews(services, templates, views), ModelViews(services, templates))
    app.extensions[EXTENSION] = Web(services, assets, templates, views, PageFrames(views), dashboard, Limits(settings))
    Guards(settings).install(app)
    errors.install(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint, url_prefix=base_path or None)
    app.asgi_app = RequestIds(app.asgi_app, base_path)  # type: ignore[method-assign]
    inner = app.asgi_app
    app.asgi_app = guarded(  # type: ignore[assignment,method-assign]
        inner,
        proxies=settings.behind_proxy,
        body_limit=body_limit(settings),
        pace=Pace() if settings.rate_limit_enabled else None,
    )
    return app
