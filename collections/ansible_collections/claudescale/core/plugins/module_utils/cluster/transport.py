# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The way to an API server and back: bounded in time, nothing repeated, errors in the words of answers.py."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster import accounts, answers, configurations
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

try:
    from kubernetes import client as kubernetes_client
    from urllib3.exceptions import HTTPError
except ImportError:  # said when a configuration is made
    pass

CONNECT_SECONDS = 1.5  # a stopped node's address answers nothing: the sentence must come within 3 s
READ_SECONDS = 10.0  # of silence
WHOLE_SECONDS = 30.0  # for all of an answer, however slowly it trickles
CHUNK = 1 << 20  # bytes

# Whose answers the API server writes itself. Through a proxy, and from an aggregated API such as metrics.k8s.io, the
# Date header is another machine's.
OWN = re.compile(
    r"/(api/v1|apis/(apps|autoscaling|batch|claudescale\.io|(authentication|authorization)\.k8s\.io))/(?!.*/proxy(/|$))"
)

Observer = Callable[[str, float, float], None]  # an answer's Date header; monotonic seconds when asked and answered


class Transport:
    """Requests with one configuration's credentials; safe from several threads. `context` is for sentences only.

    `headers` are sent with every request, such as those of impersonation.
    """

    def __init__(self, configuration: Any, context: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.configuration = configuration
        self.context = context
        self.observers: list[Observer] = []
        self._token: accounts.AccountToken | None = None
        self._api = kubernetes_client.ApiClient(configuration=configuration)
        self._api.user_agent = "claudescale"
        self._api.default_headers.update(headers or {})

    def use(self, token: accounts.AccountToken) -> None:
        """Authenticate with a service account's tokens from now on."""

        def set_token(configuration: Any) -> None:
            configuration.api_key["BearerToken"] = f"Bearer {token.value()}"

        self._token = token
        self.configuration.api_key["BearerToken"] = ""  # kubernetes asks the hook only where there is a key
        self.configuration.refresh_api_key_hook = set_token

    def authorization(self) -> str:
        """The Authorization header of a request that is sent now, "" where there is none."""
        try:
            return self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
        except configurations.UNUSABLE as error:
            raise ClaudeScaleError(f"the credentials cannot be renewed: {configurations.one_line(error)}") from error

    def send(self, method: str, path: str, **more: Any) -> Any:
        """The response, its body still to be read, of a request that was not refused; `more` as in _ask()."""
        for token in (self._token, None):  # a refused token is renewed once
            response, authorization = self._ask(method, path, **more)
            if response.status != 401 or token is None:
                break
            self.body(response)
            token.refuse(authorization.removeprefix("Bearer "))
        if response.status >= 300:
            raise answers.refusal(response.status, response.headers, self.body(response), f"{method} {path}")
        return response

    def body(self, response: Any) -> bytes:
        """The rest of a response, whose connection is free then; ClusterStopped after WHOLE_SECONDS."""
        deadline = time.monotonic() + WHOLE_SECONDS
        parts = []
        try:
            # Not read(), which waits for all of it: its time-out begins anew with each byte.
            while part := response.read1(CHUNK):
                parts.append(part)
                if time.monotonic() > deadline:
                    raise TimeoutError
        except (HTTPError, OSError) as error:
            response.close()
            raise self.unreachable(error) from error
        response.release_conn()
        return b"".join(parts)

    def unreachable(self, error: Exception) -> ClaudeScaleError:
        """The error to raise for a request without an answer, or with half of one."""
        return answers.unreachable(error, self.configuration.host, self.context)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> tuple[Any, str]:
        """Any response, and the Authorization header that was sent for it. `seconds` of silence are borne."""
        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = content_type
        if authorization := self.authorization():
            headers["authorization"] = authorization
        request = self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
        )
        sent = time.monotonic()
        try:
            response = self._api.call_api(*request, _request_timeout=(CONNECT_SECONDS, seconds)).response
        except (kubernetes_client.ApiException, HTTPError, OSError) as error:
            # kubernetes wraps failures of TLS in its own exception.
            raise self.unreachable(error) from error
        received = time.monotonic()
        if (date := response.headers.get("Date")) and OWN.match(path):
            for observe in self.observers:
                observe(date, sent, received)
        return response, authorization
