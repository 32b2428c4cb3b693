"""Small pictures of slices in lists, made when the browser asks for them."""

from __future__ import annotations

import asyncio
import logging
from html import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.errors import CSpineError
from dashboard.session.urls import path_of
from dashboard.studies.pictures import (
    PICTURES,
    SIDE,
    WantedPicture,
    in_turn,
    make_picture,
    picture_name,
)
from dashboard.studies.served_bytes import answer, no_content, nothing_else_below

logger = logging.getLogger(__name__)


def picture_url(wanted: WantedPicture) -> str:
    """Address of a picture, below the base path of the server.

    Raises:
        DataRootError: The user may not use this server.
    """
    return f"{path_of('pictures')}/{picture_name(wanted)}"


def picture_html(wanted: WantedPicture, alt: str) -> str:
    """A picture as HTML, loaded once it is scrolled to.

    Args:
        wanted: The picture.
        alt: What it shows.

    Raises:
        DataRootError: The user may not use this server.
    """
    return (
        f'<img class="lab-picture" src="{picture_url(wanted)}" alt="{escape(alt)}" loading="lazy" '
        f'width="{SIDE}" height="{SIDE}">'
    )


async def slice_picture(request: Request) -> Response:
    """One picture as PNG; 404 where the study cannot be read."""
    _, wanted = PICTURES.requested(request)
    if wanted is None:
        return no_content()
    try:
        loop = asyncio.get_running_loop()
        content = await loop.run_in_executor(in_turn(), lambda: make_picture(wanted).read_bytes())
    except (CSpineError, OSError) as error:
        logger.info("A picture could not be made: %s", type(error).__name__)
        return no_content()
    return answer(content, None, "image/png")


def picture_routes() -> list[Route]:
    """Routes for `st.App`."""
    path = path_of("pictures")
    return [Route(path + "/{name}", slice_picture), *nothing_else_below(path)]
