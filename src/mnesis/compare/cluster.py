"""Cells filled by a Ray cluster, whose machines share the comparison's folder."""

from __future__ import annotations

import socket
from collections.abc import Generator, Sequence
from importlib.util import find_spec
from typing import Any

from ..core.machine import prepare
from .filling import fill
from .place import Filled, Place, failed


def require_ray() -> None:
    """
    Raises:
        ValueError: it is not installed.
    """
    if find_spec("ray") is None:
        raise ValueError("ray is not installed; pip install 'mnesis[ray]', or leave --ray out")


def by_ray(places: Sequence[Place], address: str, trackers: Sequence[str] = ()) -> Generator[Filled]:
    """Fill cells with one processor each, as many at a time as the cluster has; see :class:`processes.Processes`.

    Args:
        places: what to fill; all machines must see their folders under the same path.
        address: of the cluster, "auto" for the one that this machine belongs to, or "local" for one of its own.

    Raises:
        ValueError: Ray is not installed, or there is no such cluster; at once, before anything is filled.
    """
    require_ray()
    _join(address)
    return _filled(places, trackers)


def _join(address: str) -> None:
    import ray  # pyright: ignore[reportMissingImports]

    _look_for(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError) as error:
        raise ValueError(
            f"no Ray cluster answers at {address!r} ({error}); start one with `ray start --head`, or write --ray local"
        ) from None


def _filled(places: Sequence[Place], trackers: Sequence[str]) -> Generator[Filled]:
    import ray  # pyright: ignore[reportMissingImports]

    filling = ray.remote(num_cpus=1, max_retries=0)(_fill)
    running: dict[Any, Place] = {}
    try:
        for place in places:
            running[filling.remote(place, tuple(trackers))] = place
        while running:
            (done, *_), _ = ray.wait(list(running))
            place = running.pop(done)
            try:
                said, value = ray.get(done)
                if said == "raised":
                    raise value
                yield Filled(place, failed(place, value) if said == "broken" else value)
            except ray.exceptions.RayError as error:
                yield Filled(place, failed(place, f"its process was lost ({type(error).__name__})"))
    finally:
        for waiting in running:
            ray.cancel(waiting)  # as Ctrl-C does: a training ends after the present update, with a checkpoint
        ray.shutdown()


def _look_for(address: str) -> None:
    """Ray itself would look for minutes."""
    host, separator, port = address.rpartition(":")
    if separator and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise ValueError(
                f"no Ray cluster answers at {address!r} ({error}); start one with `ray start --head`, or write "
                "--ray local"
            ) from None


def _fill(place: Place, trackers: Sequence[str]) -> tuple[str, Any]:
    prepare(1)
    return fill(place, trackers=trackers)
