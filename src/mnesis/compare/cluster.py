"""Cells filled by a Ray cluster, whose machines share the comparison's folder."""

from __future__ import annotations

import socket
from collections.abc import Generator, Sequence
from typing import Any

from ..core.machine import fast_products, prepare
from .cell import Cell, Interrupted, run_cell
from .place import Filled, Place, failed


def by_ray(places: Sequence[Place], address: str) -> Generator[Filled]:
    """Fill cells with one processor each, as many at a time as the cluster has; see :func:`grid.by_processes`.

    Args:
        places: what to fill; all machines must see their folders under the same path.
        address: of the cluster, "auto" for the one that this machine belongs to, or "local" for one of its own.

    Raises:
        ValueError: Ray is not installed, or there is no such cluster.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("ray is not installed; pip install 'mnesis[ray]', or leave --ray out") from None
    _look_for(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError) as error:
        raise ValueError(
            f"no Ray cluster answers at {address!r} ({error}); start one with `ray start --head`, or write --ray local"
        ) from None
    fill = ray.remote(num_cpus=1, max_retries=0)(_fill)
    running: dict[Any, Place] = {}
    try:
        for place in places:
            running[fill.remote(place)] = place
        while running:
            (done, *_), _ = ray.wait(list(running))
            place = running.pop(done)
            try:
                yield Filled(place, ray.get(done))
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, (ValueError, Interrupted)):
                    raise error.cause from None
                yield Filled(place, failed(place, f"its task broke down: {error.cause!r}"))
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


def _fill(place: Place) -> Cell:
    prepare(1)
    with fast_products(place.setting.dim):
        return run_cell(place.setting, place.memory, place.options, place.folder)
