"""The door of the server: which requests come in, and the headers that every answer carries."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
# Everything that a page shows comes from this server; nothing may frame it, and no form leads elsewhere.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": PAGE_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    # The address holds the token: no other page may learn it, and no cache may keep what it shows.
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


def host_names(host: str) -> frozenset[str]:
    """Names under which a server on an interface may be asked for; one on all interfaces also by this machine's name.

    Args:
        host: the interface's address or name.
    """
    name = host.lower().strip("[]")
    everywhere = frozenset((socket.gethostname().lower(),)) if name in ("0.0.0.0", "::", "") else frozenset[str]()
    return _LOOPBACK | {name} | everywhere


class Guard:
    """Lets in what reads, from a host that is this one, with the token; the rest is refused in one line.

    A page elsewhere can make a browser resolve its own name to 127.0.0.1 (DNS rebinding), but not send another name
    than its own in the header Host.

    Args:
        app: the application behind.   token: first part of every path.   host: the interface that is listened on.
    """

    def __init__(self, app: Application, token: str, host: str) -> None:
        self.app, self._token = app, token.encode()
        self._names, self._anywhere = host_names(host), host.strip("[]") not in _LOOPBACK

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"expected an HTTP request, got {scope['type']}")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                names = {name.lower() for name, _ in own}
                message["headers"] = own + [pair for pair in _HEADERS.items() if pair[0] not in names]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, guarded)
            return
        status, text, more = refusal
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode()), *more]
        await guarded({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text if scope["method"] != "HEAD" else b""})

    def _refusal(self, scope: Message) -> tuple[int, bytes, list[tuple[bytes, bytes]]] | None:
        if not self._is_host([value for name, value in scope["headers"] if name == b"host"]):
            return (
                403,
                b"this server answers under its own name alone; take the address that ddl-dyn serve printed\n",
                [],
            )
        if scope["method"] not in ("GET", "HEAD"):
            return 405, b"this server shows and changes nothing\n", [(b"allow", b"GET, HEAD")]
        first = scope["path"].encode("utf-8", "replace").split(b"/")[1:2]
        if not secrets.compare_digest(b"".join(first), self._token):
            return 403, b"the address lacks its token; take the one that ddl-dyn serve printed\n", []
        return None

    def _is_host(self, given: Iterable[bytes]) -> bool:
        """True for one header whose name is this server's; its port may be that of a tunnel."""
        found = list(given)
        if len(found) != 1:
            return False
        text = found[0].decode("latin-1").lower()
        name = text[1 : text.index("]")] if text.startswith("[") and "]" in text else text.partition(":")[0]
        return name in self._names or (self._anywhere and _is_address(name))


def _is_address(name: str) -> bool:
    # A number needs no resolving, so nobody can have resolved it to this machine.
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
