"""Asks Kubeflow Pipelines: models, encodings and TLS from kfp_server_api, patience and plain errors from here.

The generated client takes half an answer for text, does not repeat a request, and gives every failure the same
exception, or none when a certificate is not trusted; so its lower half is used and its answers are read here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pipelines.kubeflow.refusals import TOO_MANY_REQUESTS, ApiError, no_answer, not_json, refused, untrusted
from pipelines.kubeflow.settings import KubeflowSettings

API = "/apis/v2beta1"
CONNECT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 30.0
PAGE = 100


class KubeflowClient:
    """A connection to one server.

    Args:
        settings: where it is and who asks.
        sleep: waits some seconds; for tests.

    Raises:
        ApiError: from every method, with what to do.
    """

    def __init__(self, settings: KubeflowSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        from kfp_server_api import ApiClient, Configuration
        from kfp_server_api.rest import RESTClientObject

        configuration = Configuration(host=settings.address)
        # urllib3's own retries know neither which requests are harmless nor what to say at the end
        configuration.retries = False
        if settings.ca_file:
            configuration.ssl_ca_cert = str(settings.ca_file)
        self.settings = settings
        self.sleep = sleep
        self._http = RESTClientObject(configuration)
        self._plain = ApiClient(configuration).sanitize_for_serialization

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Ask; sent again when the server fails."""
        return _object(self._send("GET", path, query=query, harmless=True))

    def pages(self, path: str, key: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield every item of a list, page after page."""
        token = ""
        while True:
            asked = {**(query or {}), "page_size": str(PAGE), **({"page_token": token} if token else {})}
            answer = self.get(path, asked)
            yield from answer.get(key) or []
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def named(self, path: str, key: str, name: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the items of a list with exactly that display name, newest first."""
        predicates = [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]
        asked = {**(query or {}), "filter": json.dumps({"predicates": predicates}), "sort_by": "created_at desc"}
        # looked at again here: a server that does not know the filter answers with everything
        return [item for item in self.pages(path, key, asked) if item.get("display_name") == name]

    def post(self, path: str, body: Any = None, *, harmless: bool = False) -> dict[str, Any]:
        """Tell the server to do something.

        Args:
            path: below the API's root.
            body: a model of kfp_server_api.
            harmless: doing it twice is the same as once; only then is it sent again after a lost answer.
        """
        return _object(self._send("POST", path, body=body, harmless=harmless))

    def upload(self, path: str, content: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Send a file, as a form does."""
        return _object(self._send("POST", path, query=query, file=("pipeline.yaml", content)))

    def delete(self, path: str) -> None:
        """Remove something; nothing happens when it is gone already."""
        try:
            self._send("DELETE", path, harmless=True)
        except ApiError as error:
            if error.kind != "missing":
                raise

    def text(self, path: str) -> str:
        """Return an answer that is not JSON; asked once."""
        return self._once("GET", path, None, None, None)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        file: tuple[str, str] | None = None,
        harmless: bool = False,
    ) -> Any:
        """Send a request, again where that cannot do harm, and return the JSON of the answer."""
        attempt = 1
        while True:
            try:
                return self._json(method, path, self._once(method, path, query, body, file))
            except ApiError as error:
                # a request that was turned away at the door did nothing, so it may always be sent again
                may_repeat = harmless or error.kind == "unreachable" or error.status == TOO_MANY_REQUESTS
                if attempt >= self.settings.attempts or not (error.transient and may_repeat):
                    raise
                wait = error.retry_after or self.settings.backoff_seconds * 2 ** (attempt - 1)
                self.sleep(min(wait, LONGEST_WAIT_SECONDS))
                attempt += 1

    def _once(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Any, file: tuple[str, str] | None
    ) -> str:
        import urllib3
        from kfp_server_api.exceptions import ApiException

        full = quote(path if path.startswith("/apis/") else API + path, safe="/:")
        headers = {"Accept": "application/json", "Content-Type": "multipart/form-data" if file else "application/json"}
        if token := self.settings.bearer_token():
            headers["Authorization"] = f"Bearer {token}"
        host, seconds = self.settings.address, self.settings.timeout_seconds
        try:
            answer = self._http.request(
                method,
                host + full,
                query_params=list((query or {}).items()),
                headers=headers,
                body=self._plain(body),
                post_params=[("uploadfile", (file[0], file[1].encode(), "application/yaml"))] if file else None,
                _preload_content=False,
                _request_timeout=(min(CONNECT_SECONDS, seconds), seconds),
            )
            return answer.data.decode("utf-8", errors="replace")
        except ApiException as error:
            if not error.status:
                raise untrusted(host, error.reason) from error
            text = (error.body or b"").decode("utf-8", errors="replace")
            wait = _seconds((error.headers or {}).get("Retry-After"))
            raise refused(host, f"{method} {full}", error.status, text, wait) from error
        except urllib3.exceptions.HTTPError as error:
            raise no_answer(host, f"{method} {full}", error, seconds) from error

    def _json(self, method: str, path: str, text: str) -> Any:
        if not text.strip():
            return {}
        try:
            return json.loads(text)
        except ValueError as error:
            raise not_json(self.settings.address, f"{method} {path}", text) from error


def _object(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {}


def _seconds(text: str | None) -> float | None:
    # a date is allowed there too; the back-off does then
    return float(text) if text and text.replace(".", "", 1).isdigit() else None
