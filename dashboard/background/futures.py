"""Results that are still being made, and what will be made of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def ready(result: Given) -> Future[Given]:
    """A result that is there already."""
    future: Future[Given] = Future()
    future.set_result(result)
    return future


def then(coming: Future[Given], make: Callable[[Given], Made]) -> Future[Made]:
    """What `make` makes of a result, in the thread that brings it; a failure is handed on.

    Args:
        coming: The result.
        make: Called once with it.
    """
    made: Future[Made] = Future()

    def take(done: Future[Given]) -> None:
        try:
            made.set_result(make(done.result()))
        except BaseException as problem:  # noqa: BLE001 - whoever asks for the result gets it
            made.set_exception(problem)

    coming.add_done_callback(take)
    return made
