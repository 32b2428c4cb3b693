from __future__ import annotations

import threading

import pytest

from dashboard.background.shelf import Shelf
from dashboard.session.session_end import forget_session


def test_a_result_is_made_once_by_however_many_threads_and_an_error_is_not_kept():
    shelf, made, gate = Shelf[int](4), [], threading.Event()

    def make():
        gate.wait(5)
        made.append(1)
        return len(made)

    threads = [threading.Thread(target=shelf.get, args=("a", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert shelf.get("a", make) == 1
    with pytest.raises(ZeroDivisionError):
        shelf.get("b", lambda: 1 // 0)
    assert shelf.get("b", lambda: 7) == 7


def test_results_of_a_session_are_its_own_and_end_with_it():
    shelf = Shelf[str](4)
    assert shelf.get("a", lambda: "mine", owner="me") == "mine"
    assert shelf.get("a", lambda: "theirs", owner="other") == "theirs"
    assert shelf.get("a", lambda: "everyone's") == "everyone's"
    forget_session("me")
    assert shelf.get("a", lambda: "new", owner="me") == "new"
    assert shelf.get("a", lambda: "new", owner="other") == "theirs"
    assert shelf.get("a", lambda: "new") == "everyone's"


def test_the_least_recently_used_result_goes_first():
    shelf = Shelf[str](2)
    for key in "aab":
        shelf.get(key, lambda: "old")
    shelf.get("a", lambda: "new")
    shelf.get("c", lambda: "old")
    assert shelf.get("a", lambda: "new") == "old"
    assert shelf.get("b", lambda: "new") == "new"
