"""Pages of the models on this machine: the dashboard, its table as a fragment, the page of one model."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from quart import Blueprint, Response, request

from quart_chat.errors import EngineUnavailableError, ModelError, ModelNotFoundError
from quart_chat.live.board import Board
from quart_chat.model_entities import ModelInfo
from quart_chat.web.current import services, theme, user_id, web
from quart_chat.web.responses import page_response
from quart_chat.web.table import table_view

blueprint = Blueprint("dashboard", __name__)


@blueprint.get("/dashboard")
async def show() -> Response:
    """The whole page, made in one step of the loop, so that it is exactly what its revision says."""
    parts = web()
    view = table_view(request.args)
    await parts.dashboard.views.look_around()
    board = parts.services.hub.board(user_id())
    panels = parts.dashboard.views.panels(board, view)
    return page_response(parts.templates.render("pages/dashboard.html", view=view, panels=panels, **_frame(board)))


@blueprint.get("/models/list")
async def listed() -> Response:
    """The table alone, for `?sort=&dir=&q=&can=`."""
    parts = web()
    board = parts.services.hub.board(user_id())
    return page_response(parts.dashboard.views.installed(board, table_view(request.args)))


@blueprint.get("/models/<path:name>")
async def details(name: str) -> Response:
    """Also of a model that is only on its way here, or that the engine cannot be asked about now."""
    parts = web()
    board = parts.services.hub.board(user_id())
    model = await _described(name)
    models = parts.dashboard.models
    context: dict[str, Any] = {"about": None}
    if model is not None:
        context = await models.about_context(board, model)
    elif not models.state_context(board, name)["jobs"]:
        raise ModelNotFoundError("There is no model of that name on this machine.")
    shown = model.name if model is not None else name
    state = Markup(models.state(board, shown))
    return page_response(
        parts.templates.render("pages/model.html", name=shown, state=state, **context, **_frame(board))
    )


async def _described(name: str) -> ModelInfo | None:
    """With its texts where the engine gives them, else what the list says of it."""
    listed = services().library.installed(name)
    try:
        return await services().providers.for_model(name).get_model_info(name)
    except ModelNotFoundError:
        return None
    except EngineUnavailableError:
        if listed is None:
            raise
        return listed
    except ModelError:
        return listed


def _frame(board: Board) -> dict[str, Any]:
    """What both pages have around their panels."""
    parts = web()
    return {
        "live": {"epoch": board.revisions.epoch, "rev": None, "board_rev": board.rev},
        "theme": theme(),
        **parts.views.sessions_context(board, ""),
    }
