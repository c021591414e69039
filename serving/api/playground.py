"""The playground: a page on which a person clicks through a model's items.

It asks the REST API for what it shows, and here for the items there are. It
is for the person at this machine alone: other hosts are refused, and so are
names that a foreign site has made to point here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import pathlib
import typing
from urllib import parse

from aiohttp import web
from tensorflow_serving.apis import model_pb2

from jump_tf import schema
from serving.api import rest_answers
from serving.protocol import errors

if typing.TYPE_CHECKING:
    from serving.runtime.manager import Manager

_FOLDER = pathlib.Path(__file__).parents[1] / "playground"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PAGE_SIZE = 40


def check_host(host: str) -> None:
    """Refuses to offer the playground to the network.

    Raises:
        InputError: the host is not this machine's own.
    """
    if not _is_loopback(host):
        raise schema.InputError(
            "`--host` must be a loopback address such as 127.0.0.1 with "
            f"`--playground`. Received: {host}"
        )


def add(app: web.Application, manager: Manager, model: str) -> None:
    """Adds the page at `/playground/` to what answers HTTP.

    From then on only requests to a loopback address or to `localhost` are
    answered.

    Args:
        app: of `rest.application`.
        manager: has the model.
        model: its name.
    """
    app.middlewares.append(_from_this_machine)
    app.router.add_get("/playground", _redirect)
    for path in _FOLDER.iterdir():
        if path.suffix not in _TYPES:  # The picture of the README.
            continue
        name = "" if path.name == "index.html" else path.name
        app.router.add_get(f"/playground/{name}", _static(path))
    app.router.add_get("/playground/items", _Items(manager, model).answer)


class Vocabulary:
    """A version's items, most clicked first, in one text without objects.

    Args:
        path: its vocabulary.
    """

    def __init__(self, path: pathlib.Path):
        self._text = path.read_bytes().rstrip(b"\n") + b"\n"
        self._lower = self._text.lower()  # ASCII alone: lengths stay.
        self.size = self._text.count(b"\n")

    def page(
        self, search: str, start: int, limit: int = PAGE_SIZE
    ) -> tuple[list[str], int | None]:
        """Returns items that contain a text, in any case of ASCII letters.

        Args:
            search: the text; "" is in all.
            start: 0, or where the page before said that the next one starts.
            limit: of the page.

        Returns:
            the items, and where the next page starts if there may be one.

        Raises:
            ServingError: no item starts there.
        """
        if not 0 <= start < len(self._text) or (
            start and self._text[start - 1] != ord("\n")
        ):
            raise errors.invalid_argument(
                f"`start` must be where an item starts. Received: {start}"
            )
        needle = search.encode().lower()
        items: list[str] = []
        while len(items) < limit and start < len(self._text):
            hit = self._lower.find(needle, start)
            if hit < 0 or b"\n" in needle:
                return items, None
            begin = self._text.rfind(b"\n", 0, hit) + 1
            end = self._text.index(b"\n", hit)
            items.append(self._text[begin:end].decode())
            start = end + 1
        return items, start if start < len(self._text) else None


class _Items:
    """Answers with pages of the vocabulary of the served version."""

    def __init__(self, manager: Manager, model: str):
        self._manager = manager
        self._spec = model_pb2.ModelSpec(name=model)
        self._read: tuple[pathlib.Path, Vocabulary] | None = None

    async def answer(self, request: web.Request) -> web.Response:
        with self._manager.use(self._spec) as servable:
            version = servable.version
            path = servable.folder / "assets" / schema.VOCABULARY_FILE
            vocabulary = await self._vocabulary(path)
        start = request.query.get("start", "0")
        if not (start.isascii() and start.isdecimal()):
            raise errors.invalid_argument(
                f"`start` must be a number. Received: {start}"
            )
        items, following = vocabulary.page(
            request.query.get("search", ""), int(start)
        )
        body = rest_answers.to_bytes(
            {
                "model": self._spec.name,
                "version": version,
                "size": vocabulary.size,
                "items": items,
                "next": following,
            }
        )
        return web.Response(
            body=body, content_type="application/json", headers=_HEADERS
        )

    async def _vocabulary(self, path: pathlib.Path) -> Vocabulary:
        if self._read is None or self._read[0] != path:
            try:
                read = await asyncio.to_thread(Vocabulary, path)
            except OSError as error:
                raise errors.not_found(
                    f"Model {self._spec.name} has no {schema.VOCABULARY_FILE}"
                ) from error
            self._read = path, read
        return self._read[1]


@web.middleware
async def _from_this_machine(request, handler) -> web.StreamResponse:
    try:
        name = parse.urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        name = ""
    if not _is_loopback(name):
        raise web.HTTPForbidden(
            text="With the playground, the server answers at 127.0.0.1 and "
            "localhost alone"
        )
    return await handler(request)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


async def _redirect(_: web.Request) -> web.StreamResponse:
    raise web.HTTPMovedPermanently("/playground/")


def _static(path: pathlib.Path):
    body = path.read_bytes()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            body=body,
            content_type=_TYPES[path.suffix],
            charset="utf-8",
            headers=_HEADERS,
        )

    return answer
