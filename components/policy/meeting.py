"""Where the processes of one training meet: a store of our own on one named address, and no pickles.

torch's own rendezvous listens on every interface and unpickles what the store holds: whoever reached the port ran code
as the user who trains. This one binds the address that it is given, loopback on a single machine, counts the machines
and keeps nothing but text.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import sys
from datetime import timedelta
from typing import Any

from torch.distributed import PrefixStore, TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint

from components.errors import TrainingError

log = logging.getLogger("lookout.launch")
BACKEND = "lookout"
LOOPBACK = "127.0.0.1:0"
SOCKETS = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME")
"""Variables that name the interface on which each of torch's transports listens."""


def loopback_only() -> dict[str, str]:
    """What has the transports of one machine's processes listen on loopback only."""
    return dict.fromkeys(SOCKETS, "lo" if sys.platform == "linux" else "lo0")


class Meeting(RendezvousHandler):
    """Once for all `nodes` machines. The one that the address belongs to holds the store and is the first."""

    def __init__(self, endpoint: str, nodes: int, run_id: str, timeout_s: int) -> None:
        self._host, self._port = parse_rendezvous_endpoint(endpoint, default_port=0)
        self._nodes, self._run_id, self._timeout = nodes, run_id, timedelta(seconds=timeout_s)
        self._store: Any = None

    def get_backend(self) -> str:
        return BACKEND

    @property
    def use_agent_store(self) -> bool:
        return True  # or the first training process would open a store of its own, on every interface

    def next_rendezvous(self) -> RendezvousInfo:
        """Raises TrainingError where the address cannot be used, or is another training's."""
        listening = self._listen()
        try:
            self._store = self._store_at(listening)
        except RuntimeError as error:
            raise TrainingError(
                f"no training answers at {self._host}:{self._port} (launch.rendezvous): start the stage on the machine "
                f"that has this address first, and let the others reach its port ({str(error).splitlines()[0]})"
            ) from None
        rank = 0 if listening else self._store.add(f"{self._run_id}/guests", 1)
        if rank >= self._nodes:
            raise TrainingError(
                f"{rank + 1} machines came to {self._host}:{self._port}, but launch.nodes is {self._nodes}"
            )
        meeting = RendezvousStoreInfo(self._host, self._store.port)
        return RendezvousInfo(PrefixStore(self._run_id, self._store), rank, self._nodes, meeting)

    def _listen(self) -> socket.socket | None:
        """A socket on the named address alone; None where it is another machine's."""
        family, _, _, _, address = self._address()
        if self._nodes > 1 and ipaddress.ip_address(address[0]).is_loopback:
            log.warning("%s is loopback here: machines beside this one cannot reach it", self._host)
        try:
            return socket.create_server(address[:2], family=family, backlog=128)
        except OSError as error:
            if self._nodes > 1 and error.errno in (errno.EADDRNOTAVAIL, errno.EADDRINUSE):
                return None
            raise TrainingError(
                f"launch.rendezvous {self._host}:{self._port} cannot be used: {error.strerror}"
            ) from None

    def _address(self) -> tuple[Any, ...]:
        try:
            return socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0]
        except socket.gaierror as error:
            raise TrainingError(
                f"launch.rendezvous names {self._host}, which has no address: {error.strerror}"
            ) from None

    def _store_at(self, listening: socket.socket | None) -> TCPStore:
        if listening is None:
            return TCPStore(self._host, self._port, is_master=False, timeout=self._timeout)
        host, port = listening.getsockname()[:2]
        return TCPStore(
            host, port, is_master=True, timeout=self._timeout, wait_for_workers=False, multi_tenant=True,
            master_listen_fd=listening.detach(),
        )  # fmt: skip

    def is_closed(self) -> bool:
        return False

    def set_closed(self) -> None:
        """There is one meeting only: nothing to close."""

    def num_nodes_waiting(self) -> int:
        return 0

    def get_run_id(self) -> str:
        return self._run_id

    def shutdown(self) -> bool:
        return True


def _meeting(params: RendezvousParameters) -> Meeting:
    return Meeting(params.endpoint, params.max_nodes, params.run_id, int(params.get("timeout", 900)))


def allow() -> None:
    """Makes the meeting known to torch's launcher, under the name BACKEND."""
    rendezvous_handler_registry.register(BACKEND, _meeting)
