"""A request to stop is taken once, and each one is seen."""

from __future__ import annotations

from core.system.stop_request import StopRequests, ask_to_stop


def test_each_request_is_taken_once(tmp_path):
    file = tmp_path / "stop.request"
    requests = StopRequests(file)
    assert not requests.take()
    ask_to_stop(file)
    assert requests.take()
    assert not requests.take()
    ask_to_stop(file)
    assert requests.take()
    requests.clear()
    assert not requests.take()
    assert not file.exists()
