"""File upload, multipart or raw, and download with Range (RFC 9110 section 14)."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from aiohttp import BodyPartReader, web

from legacy_stub.responses import json_response
from legacy_stub.shop import Shop

_CHUNK_BYTES = 64 * 1024
_ANY_BYTES = "application/octet-stream"


class Files:
    """Uploads and downloads. folder: the place of the bytes, each file under its id."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self._shop = shop
        self._folder = folder

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/files", self.upload), web.get("/files/{id}", self.download)]

    async def upload(self, request: web.Request) -> web.Response:
        """Keep the first file of a form, or the whole body under the name in `?name=`."""
        if request.content_type != "multipart/form-data":
            name = request.query.get("name", "upload.bin")
            return await self._keep(name, request.content_type, request.content.iter_chunked(_CHUNK_BYTES))
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.filename:
                content_type = part.headers.get("Content-Type", _ANY_BYTES)
                return await self._keep(part.filename, content_type, _chunks(part))
        raise web.HTTPBadRequest(reason="the form has no file")

    async def download(self, request: web.Request) -> web.FileResponse:
        file = self._shop.file(request.match_info["id"])
        if file is None:
            raise web.HTTPNotFound(reason="no such file")
        return web.FileResponse(
            self._folder / file["id"],
            headers={
                "Content-Type": file["content_type"],
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file['name'])}",
                "X-Content-Type-Options": "nosniff",
            },
        )

    async def _keep(self, name: str, content_type: str, chunks: AsyncIterator[bytes]) -> web.Response:
        file_id = secrets.token_hex(8)
        size = 0
        sink = await asyncio.to_thread(open, self._folder / file_id, "wb")
        try:
            async for chunk in chunks:
                size += await asyncio.to_thread(sink.write, chunk)
        finally:
            await asyncio.to_thread(sink.close)
        self._shop.add_file(file_id, name, content_type, size)
        file = {"id": file_id, "name": name, "content_type": content_type, "bytes": size}
        return json_response(file, 201, {"Location": f"/files/{file_id}"})


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        yield chunk
