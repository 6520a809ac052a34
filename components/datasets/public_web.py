"""Downloads from the public web: bounded in bytes and in time, without credentials, from public addresses only.

A name is resolved once a connection, and the connection goes to the address that was checked: a name that answers
differently the second time gains nothing. Redirects are followed here, each checked as the first URL was.
"""

from __future__ import annotations

import io
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from functools import cache
from types import TracebackType
from typing import Any
from urllib.parse import urljoin

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, NewConnectionError
from urllib3.exceptions import TimeoutError as SilenceError
from urllib3.util import connection

MOST_REDIRECTS = 10
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Download = tuple[int, Mapping[str, str], bytes]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotFetchedError(Exception):
    """Why there are no bytes; how long to wait before the next try, None where another try cannot help."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def download(url: str, timeout_s: float, most_s: float, most_bytes: int, hosts: Iterable[str] = ()) -> Download:
    """(status, headers, bytes) of the URL behind its redirects; the bytes of status 200 only.

    `timeout_s` bounds each silence, `most_s` all of it. `hosts` may be asked although they are not public.
    Raises NotFetchedError, and nothing else for what a URL or a server does.
    """
    with _Watch(most_s, timeout_s, frozenset(host.lower() for host in hosts)) as watch:
        try:
            found = _follow(url, watch, most_bytes)
        except (HTTPError, OSError, ValueError) as error:
            raise _why(error, watch, most_s) from error
        if watch.over:  # a body without a stated length ends where the connection was cut
            raise NotFetchedError(f"not done within {most_s:g} s")
        return found


def _why(error: Exception, watch: _Watch, most_s: float) -> NotFetchedError:
    if watch.over:
        return NotFetchedError(f"not done within {most_s:g} s")
    if isinstance(error, SilenceError) and not isinstance(error, NewConnectionError):  # whose kind it is, to urllib3
        return NotFetchedError("timeout", 0.0)
    if isinstance(error, LocationValueError) or not isinstance(error, HTTPError | OSError):
        return NotFetchedError("the URL leads nowhere")
    return NotFetchedError("no connection", 0.0)


def _follow(url: str, watch: _Watch, most_bytes: int) -> Download:
    for _ in range(MOST_REDIRECTS):
        if not url.lower().startswith(("http://", "https://")):
            raise LocationValueError("a redirect to another scheme")
        answer = watch.pools.urlopen("GET", url, redirect=False, retries=False, preload_content=False)
        try:
            target = answer.get_redirect_location()
            if not target:
                return answer.status, answer.headers, _body(answer, most_bytes) if answer.status == 200 else b""
            url = urljoin(url, target)
        finally:
            answer.close()
    raise LocationValueError("too many redirects")


def _body(answer: Any, most_bytes: int) -> bytes:
    content = io.BytesIO()
    for part in answer.stream(1 << 16):
        content.write(part)
        if content.tell() > most_bytes:
            raise NotFetchedError(f"larger than {most_bytes} bytes")
    return content.getvalue()


class _Watch:
    """Makes one download's connections, and cuts them off when its time is over, whatever they are waiting for."""

    def __init__(self, most_s: float, timeout_s: float, hosts: frozenset[str]) -> None:
        self.over = False
        self.pools = _pools(self)
        self.pools.connection_pool_kw |= {"timeout": urllib3.Timeout(min(timeout_s, most_s))}
        self._hosts = hosts
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(most_s, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self.pools.clear()
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()

    def connect(self, made: HTTPConnection) -> socket.socket:
        """A socket to the first checked address that answers. Raises what urllib3's own does, or NotFetchedError."""
        addresses = self._addresses(made)
        for place, address in enumerate(addresses):
            try:
                sock = connection.create_connection((address, made.port or 0), made.timeout, None, made.socket_options)
            except OSError as error:
                if place < len(addresses) - 1 and not self.over:
                    continue
                if isinstance(error, TimeoutError):
                    raise ConnectTimeoutError(made, "no answer") from error
                raise NewConnectionError(made, f"no connection: {error}") from error
            with self._lock:
                self._sockets.append(sock.dup())  # ends the connection also where TLS has taken the socket over
            if self.over:
                self._cut()
            return sock
        raise NewConnectionError(made, "the name has no address")

    def _addresses(self, made: HTTPConnection) -> list[str]:
        host = made.host
        try:
            found = socket.getaddrinfo(host.strip("[]"), made.port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise LocationValueError(f"{host[:80]!r} is no host's name") from error
        except OverflowError as error:
            raise LocationValueError(f"{made.port} is no port") from error
        except OSError as error:
            raise NewConnectionError(made, f"the name does not resolve: {error}") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        public = [one for one in addresses if host.lower() in self._hosts or is_public(one)]
        if addresses and not public:
            raise NotFetchedError("its host is not public (fetch.hosts names those that may be asked)")
        return public

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            for one in self._sockets:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it has ended already


def is_public(text: str) -> bool:
    """Whether an address is one of the open internet, also where it wraps one of IPv4."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = wrapped or address
    return address.is_global and not address.is_multicast


@cache
def _trust() -> ssl.SSLContext:
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _pools(watch: _Watch) -> urllib3.PoolManager:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return watch.connect(self)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return watch.connect(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain  # pyright: ignore[reportAssignmentType]  (urllib3's own types do not fit its protocol)

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure  # pyright: ignore[reportAssignmentType]

    pools = urllib3.PoolManager(ssl_context=_trust())
    pools.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return pools
