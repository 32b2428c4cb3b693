"""A browser's half of Streamlit's protocol without the browser: one session, its page, its widgets.

A Chromium context costs 100 MB and a core while it draws; this costs what the messages weigh, so
that a load test measures the server. It follows streamlit 1.67, which the requirements pin.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

XSRF_COOKIE: Final = "_streamlit_xsrf"
KEEP_SECONDS: Final = 1.0
"""How long an idle connection is used again. The server closes one after five seconds, which is
httpx's own limit too: a request sent in that moment is reset, where a browser asks once more."""
ANSWER_SECONDS: Final = 60.0
LONGEST_PAUSE: Final = 60.0
"""Fragments that run less often wait for nothing."""
ERROR_COLOUR: Final = 1
"""Alert.ERROR: what `st.error` draws."""


class PageError(Exception):
    """The server closed the session, did not answer in time or drew an exception."""


@dataclass(slots=True)
class Page:
    """Elements drawn by the server, and the fragments that run periodically.

    Attributes:
        elements: By delta path; containers count only as places.
        fragments: The fragment that drew an element, where one did.
        reruns: Seconds between runs by fragment id, of those that poll for something.
    """

    elements: dict[tuple[int, ...], Element] = field(default_factory=dict)
    fragments: dict[tuple[int, ...], str] = field(default_factory=dict)
    reruns: dict[str, float] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[Any]:
        """The elements of one kind, such as "slider", in order of their places."""
        return [
            getattr(self.elements[place], kind)
            for place in sorted(self.elements)
            if self.elements[place].WhichOneof("type") == kind
        ]

    def errors(self) -> list[str]:
        """Texts of the exceptions and `st.error` boxes on the page."""
        shown = [f"{one.type}: {one.message}" for one in self.of_kind("exception")]
        return shown + [one.body for one in self.of_kind("alert") if one.format == ERROR_COLOUR]

    def text(self) -> str:
        """All HTML and Markdown on the page but the stylesheet."""
        bodies = [one.body for kind in ("html", "markdown") for one in self.of_kind(kind)]
        return "\n".join(body for body in bodies if "<style" not in body)


class PageClient:
    """One browser session.

    Args:
        url: Address of the server, without a trailing slash.
        cookies: Cookies to send, for example of a login.
        origin: The page's origin; the server's own where None.
    """

    def __init__(
        self, url: str, *, cookies: Mapping[str, str] | None = None, origin: str | None = None
    ) -> None:
        self.page = Page()
        self.http = httpx.Client(
            base_url=url, timeout=ANSWER_SECONDS,
            limits=httpx.Limits(keepalive_expiry=KEEP_SECONDS),
        )  # fmt: skip
        for name, value in (cookies or {}).items():
            # With the host, so that the server can replace it.
            self.http.cookies.set(name, value, domain=self.http.base_url.host)
        self.http.get("/_stcore/host-config").raise_for_status()
        self.http.get("/_stcore/health").raise_for_status()
        self._known: dict[str, ForwardMsg] = {}
        self._widgets: dict[str, WidgetState] = {}
        self._page_name = ""
        self._query, self._page_hash = "", ""
        self.session_id = ""
        self._url, self._origin = url, origin or url
        self._open = ExitStack()
        self._socket = self._connect()

    def _connect(self) -> ClientConnection:
        # Without a token the server takes the session for one that is not logged in.
        token = self.http.cookies.get(XSRF_COOKIE) or "none"
        jar = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        protocols = ["streamlit", token, *([self.session_id] if self.session_id else [])]
        opening = connect(
            self._url.replace("http", "ws", 1) + "/_stcore/stream",
            origin=self._origin,  # type: ignore[arg-type]
            additional_headers={"Cookie": jar} if jar else None,
            subprotocols=[Subprotocol(one) for one in protocols],
            max_size=None,
            open_timeout=ANSWER_SECONDS,
        )
        return self._open.enter_context(opening)

    def reconnect(self, *, after: float) -> Page:
        """Lose the connection for some seconds and come back to the same session."""
        self._open.close()
        time.sleep(after)
        self._socket = self._connect()
        return self.run()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the tab."""
        self._open.close()
        self.http.close()

    @property
    def query(self) -> dict[str, str]:
        """Query parameters of the address, as the page has set them."""
        return dict(parse_qsl(self._query))

    def open(self, page_name: str, query: str = "") -> Page:
        """Go to a page; returns it once it is drawn."""
        if page_name != self._page_name:
            self._widgets.clear()
        self._page_name, self._query = page_name, query
        return self.run()

    def run(self, *, fragment: str = "") -> Page:
        """Have the page, or one of its fragments, drawn with the widgets as they stand.

        Raises:
            PageError: The server does not answer.
        """
        message = BackMsg()
        state = message.rerun_script
        state.page_name, state.query_string, state.fragment_id = (
            self._page_name, self._query, fragment,
        )  # fmt: skip
        if fragment:
            # A run of the whole page that the fragment asks for is of this page.
            state.page_script_hash = self._page_hash
        state.context_info.timezone = "UTC"
        state.context_info.url = f"{self.http.base_url}{self._page_name}"
        state.widget_states.widgets.extend(self._widgets.values())
        state.cached_message_hashes.extend(self._known)
        self._socket.send(message.SerializeToString())
        self._await_end()
        for widget in self._widgets.values():
            if widget.WhichOneof("value") in ("trigger_value", "json_trigger_value"):
                widget.Clear()
        self._widgets = {name: one for name, one in self._widgets.items() if one.id}
        return self.page

    def set(self, widget_id: str, **value: Any) -> Page:  # noqa: ANN401 - any field of WidgetState
        """Give a widget a value and rerun the page.

        Args:
            widget_id: `id` of the element.
            value: One field of `WidgetState`: `string_value="x"`, `double_array_value=[0.5]`.
        """
        state = WidgetState(id=widget_id)
        for name, given in value.items():
            if isinstance(given, list):
                getattr(state, name).data.extend(given)
            else:
                setattr(state, name, given)
        self._widgets[widget_id] = state
        return self.run(fragment=self._fragment_of(widget_id))

    def find(self, kind: str, part: str) -> Any:  # noqa: ANN401 - any element's message
        """The element of this kind with `part` in its id or label.

        Raises:
            PageError: There is no such element.
        """
        for one in self.page.of_kind(kind):
            if part in one.id or part in getattr(one, "label", ""):
                return one
        raise PageError(f"{self._page_name} has no {kind} {part!r}; errors: {self.page.errors()}")

    def has(self, kind: str, part: str) -> bool:
        """Whether there is such an element."""
        return any(
            part in one.id or part in getattr(one, "label", "") for one in self.page.of_kind(kind)
        )

    def settle(self, done: str, seconds: float = ANSWER_SECONDS) -> Page:
        """Run the periodic fragments, as a browser does, until `done` is on the page.

        Raises:
            PageError: `done` never appears.
        """
        deadline = time.monotonic() + seconds
        while done not in self.page.text():
            if time.monotonic() > deadline or not self.page.reruns:
                raise PageError(f"{done!r} never came; errors: {self.page.errors()}")
            fragment, pause = next(iter(self.page.reruns.items()))
            time.sleep(pause)
            self.run(fragment=fragment)
        return self.page

    def upload(self, uploader: str, name: str, content: bytes) -> Page:
        """Give a file to an uploader and draw what comes of it.

        Raises:
            PageError: The server refuses the file.
        """
        widget = self.find("file_uploader", uploader)
        urls = self.announce(name)
        answer = self.http.put(
            urls.upload_url,
            files={"file": (name, content)},
            headers={"X-Xsrftoken": self.http.cookies.get(XSRF_COOKIE) or ""},
        )
        if answer.status_code >= 400:
            raise PageError(f"The upload was refused: {answer.status_code} {answer.text[:200]}")
        state = WidgetState(id=widget.id)
        info = state.file_uploader_state_value.uploaded_file_info.add()
        info.name, info.size, info.file_id = name, len(content), urls.file_id
        info.file_urls.CopyFrom(urls)
        self._widgets[widget.id] = state
        return self.run(fragment=self._fragment_of(widget.id))

    def announce(self, name: str) -> FileURLs:
        """Addresses that the server gives for a file of this name."""
        message = BackMsg()
        message.file_urls_request.request_id = f"{time.monotonic_ns()}"
        message.file_urls_request.file_names.append(name)
        message.file_urls_request.session_id = self.session_id
        self._socket.send(message.SerializeToString())
        return self._await_urls()

    def component_data(self, part: str) -> dict[str, Any]:
        """What the server handed to a component of the second kind."""
        one = self.find("bidi_component", part)
        text = one.mixed.json if one.WhichOneof("data") == "mixed" else one.json
        return json.loads(text)

    def _fragment_of(self, widget_id: str) -> str:
        for place, element in self.page.elements.items():
            kind = element.WhichOneof("type")
            if kind and getattr(getattr(element, kind), "id", None) == widget_id:
                return self.page.fragments.get(place, "")
        return ""

    def _receive(self) -> ForwardMsg:
        try:
            raw = self._socket.recv(timeout=ANSWER_SECONDS)
        except TimeoutError as error:
            raise PageError(f"No answer within {ANSWER_SECONDS:g} s.") from error
        except Exception as error:  # every way a connection can end
            raise PageError(f"The connection ended: {error}") from error
        message = ForwardMsg()
        message.ParseFromString(raw if isinstance(raw, bytes) else raw.encode())
        if message.WhichOneof("type") == "ref_hash":
            known = ForwardMsg()
            known.CopyFrom(self._known[message.ref_hash])
            known.metadata.CopyFrom(message.metadata)
            return known
        if message.hash and message.metadata.cacheable:
            self._known[message.hash] = message
        return message

    def _await_urls(self) -> FileURLs:
        while True:
            message = self._receive()
            if message.WhichOneof("type") == "file_urls_response":
                return message.file_urls_response.file_urls[0]
            self._take(message)

    def _await_end(self) -> None:
        """Take messages until the script has run through, reruns that it asks for included."""
        while True:
            message = self._receive()
            if self._take(message):
                return

    def _take(self, message: ForwardMsg) -> bool:
        """Take a message over; whether it ends a run."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.session_id = message.new_session.initialize.session_id or self.session_id
            self._start(set(message.metadata.run.fragment_ids))
        elif kind == "navigation":
            self._page_hash = message.navigation.page_script_hash
        elif kind == "delta":
            self._take_delta(message)
        elif kind == "auto_rerun":
            if message.auto_rerun.interval <= LONGEST_PAUSE:
                self.page.reruns[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self.page.reruns.pop(fragment, None)
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        return kind == "script_finished" and message.script_finished != (
            ForwardMsg.FINISHED_EARLY_FOR_RERUN
        )

    def _start(self, fragments: set[str]) -> None:
        """Forget elements that are drawn again: of these fragments, or all if there are none."""
        if not fragments:
            self.page = Page()
            return
        for place in [one for one, name in self.page.fragments.items() if name in fragments]:
            self.page.fragments.pop(place)
            self.page.elements.pop(place, None)

    def _take_delta(self, message: ForwardMsg) -> None:
        place, delta = tuple(message.metadata.delta_path), message.delta
        if delta.WhichOneof("type") == "new_element":
            self.page.elements[place] = delta.new_element
            self.page.fragments[place] = delta.fragment_id
        elif delta.WhichOneof("type") == "add_block":
            for inner in [one for one in self.page.elements if one[: len(place)] == place]:
                del self.page.elements[inner]
