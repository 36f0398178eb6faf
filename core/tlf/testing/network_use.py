"""Seeing whether code that is run uses the network, and keeping it from it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock


@contextmanager
def network_use() -> Iterator[list[str]]:
    """Refuse every attempt to reach another machine, as if there were no network.

    Yields:
        What was tried to be reached, for the code inside may well hide the error that it got.
    """
    tried: list[str] = []
    connect = socket.socket.connect

    def refuse(address: object) -> OSError:
        tried.append(str(address))
        return OSError(f"there is no network in this check, and none for {address}")

    def connect_here(self: socket.socket, address: Any) -> None:  # noqa: ANN401
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise refuse(address)
        connect(self, address)

    def look_up(host: object, *_: object, **__: object) -> None:
        raise refuse(host)

    with (
        mock.patch("socket.socket.connect", connect_here),
        mock.patch("socket.socket.connect_ex", connect_here),
        mock.patch("socket.getaddrinfo", look_up),
    ):
        yield tried
