"""The operator's wall over HTTP: what comes of a watched folder, as it comes, for the page ``/watch``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from bgkit.batch.wall import Wall
from bgkit.serve.fields import refusals

__all__ = ["router"]

PAUSE = 0.3  # s between two looks of a page's stream

router = APIRouter(prefix="/v1/watch", tags=["watch"])


def _there(request: Request) -> Wall:
    wall: Wall | None = request.app.state.wall
    if wall is None:
        raise HTTPException(404, "no folder is watched; start with bgkit serve --watch, or bgkit watch --page")
    return wall


There = Annotated[Wall, Depends(_there)]


@router.get("", responses=refusals(404))
async def stand(wall: There) -> dict[str, Any]:
    """Tell how it stands with the watched folder, and its last pictures."""
    return {**wall.stand(), "pictures": list(wall.pictures)}


@router.get(
    "/pictures/{number}",
    response_class=Response,
    responses={200: {"description": "The thumbnail.", "content": {"image/webp": {}}}, **refusals(404, 422)},
)
async def picture(wall: There, number: int) -> Response:
    """Return the thumbnail of a result."""
    if not (content := wall.thumbnails.get(number)):
        raise HTTPException(404, "no such picture, or none any more")
    return Response(content, media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})


@router.get("/events", response_class=EventSourceResponse, responses=refusals(404, 422))
async def events(wall: There, last_event_id: Annotated[int | None, Header()] = None) -> AsyncIterator[ServerSentEvent]:
    """Send an event ``picture`` for each picture, from the last that the page has, and ``stand`` when that changes."""
    seen, sent = last_event_id or 0, None
    while not wall.closed:
        for each in [each for each in list(wall.pictures) if each["number"] > seen]:
            seen = each["number"]
            yield ServerSentEvent(data=each, event="picture", id=str(seen))
        if (now := wall.stand()) != sent:
            sent = now
            yield ServerSentEvent(data=now, event="stand")
        await asyncio.sleep(PAUSE)
