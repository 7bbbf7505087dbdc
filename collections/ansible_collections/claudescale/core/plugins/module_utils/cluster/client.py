# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The API server, as plain dictionaries: one named context, every request bounded, every failure one sentence.

Callers build paths of the Kubernetes REST API; this file knows kubeconfigs, time-outs, errors and streams.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

try:
    import urllib3
    import yaml
    from kubernetes import client as kubernetes_client
    from kubernetes import config as kubernetes_config
    from kubernetes.config.config_exception import ConfigException

    MISSING = ""
except ImportError as error:  # said when a client is made, so that importing this file needs nothing
    MISSING = str(error)

CONNECT_SECONDS = 1.5  # a stopped node's address answers nothing: the sentence must come within 3 s
READ_SECONDS = 10.0
STREAM_SILENCE_SECONDS = 30.0  # more than the server-side time-out of a watch, so silence means a dead line
WATCH_SECONDS = 20


class ClusterStopped(ClaudeScaleError):  # noqa: N818 - a state of the world, not a mistake
    """Nothing answers where the context points, or there is no such context."""


class ApiError(ClaudeScaleError):
    """The API server refused a request; `status` is its HTTP code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ClusterClient:
    """Requests to one context's API server. `namespace` is where the callers' paths point by default.

    ClaudeScaleError where the kubeconfig cannot be read, ClusterStopped where it lacks the context.
    """

    def __init__(self, *, context: str, namespace: str, kubeconfig: str | None = None) -> None:
        if MISSING:
            raise ClaudeScaleError(f"the Python package kubernetes is missing here ({MISSING}): pip install kubernetes")
        self.context = context
        self.namespace = namespace
        self.kubeconfig = kubeconfig
        self.configuration = kubernetes_client.Configuration()
        # urllib3 would repeat a refused or silent connection three times.
        self.configuration.retries = urllib3.Retry(total=0)
        try:
            kubernetes_config.load_kube_config(
                config_file=kubeconfig, context=context, client_configuration=self.configuration, persist_config=False
            )
        except ConfigException as error:
            if "Expected object with name" in str(error) or "Invalid kube-config file. No configuration" in str(error):
                raise ClusterStopped(f"the cluster is stopped: make up (no context {context} here)") from error
            raise ClaudeScaleError(f"the kubeconfig cannot be used: {_one_line(error)}") from error
        except (OSError, ValueError, TypeError, LookupError, yaml.YAMLError) as error:
            raise ClaudeScaleError(f"the kubeconfig cannot be read: {_one_line(error)}") from error
        self._api = kubernetes_client.ApiClient(configuration=self.configuration)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """GET a path such as /api/v1/nodes as a dictionary."""
        return self._json("GET", path, query=query)

    def items(self, path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """The items of a list."""
        found: list[dict[str, Any]] = self.get(path, query)["items"]
        return found

    def find(self, path: str) -> dict[str, Any] | None:
        """GET one object, None where there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST an object."""
        return self._json("POST", path, body=body)

    def delete(self, path: str, *, propagation: str = "Background") -> None:
        """DELETE an object; one that is gone already is no error."""
        try:
            self._json("DELETE", path, body={"propagationPolicy": propagation})
        except ApiError as error:
            if error.status != 404:
                raise

    def text(self, path: str, query: Mapping[str, str] | None = None, *, seconds: float = READ_SECONDS) -> str:
        """GET a path that answers with text, such as a service's proxy."""
        body: bytes = self._send("GET", path, query=query, seconds=seconds).read()
        return body.decode(errors="replace")

    def lines(
        self, path: str, query: Mapping[str, str] | None = None, *, silence: float = STREAM_SILENCE_SECONDS
    ) -> Iterator[str]:
        """GET a stream, line by line until the server ends it; ClusterStopped after so many seconds of silence."""
        response = self._send("GET", path, query=query, seconds=silence).response
        rest = b""
        try:
            for chunk in response.stream(amt=None):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")
            if rest:
                yield rest.decode(errors="replace")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        finally:
            response.close()

    def watch(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(ADDED, MODIFIED or DELETED, object) of a list's path, beginning with what is there.

        One connection, ended by the server after WATCH_SECONDS: callers call again. ApiError with status 410 and
        others where the watch ends with an error.
        """
        wanted = {**(query or {}), "watch": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        for line in self.lines(path, wanted):
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise ApiError(
                    f"the watch ended: {event['object'].get('message')}", int(event["object"].get("code", 0))
                )
            if event["type"] != "BOOKMARK":
                yield event["type"], event["object"]

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._send(method, path, seconds=READ_SECONDS, **more).read())
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        request = self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json, */*", **({"Content-Type": "application/json"} if body else {})},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*request, _request_timeout=(CONNECT_SECONDS, seconds))
            if response.status >= 300:
                raise ApiError(*_refusal(response.status, response.read(), method, path))
        except kubernetes_client.ApiException as error:
            # The client wraps TLS failures in its own exception, with status 0.
            if not error.status:
                raise self._unreachable(error) from error
            raise ApiError(*_refusal(error.status, error.body or b"", method, path)) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        return response

    def _unreachable(self, error: Exception) -> ClaudeScaleError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return ClaudeScaleError(f"the API server of context {self.context} shows a certificate that is not its own")
        return ClusterStopped(f"the cluster is stopped: make up ({self.configuration.host} {_why(error)})")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _why(error: Exception) -> str:
    chain: list[BaseException] = []
    link: object = error
    while isinstance(link, BaseException) and link not in chain:
        chain.append(link)
        link = getattr(link, "reason", None) or link.__cause__ or link.__context__
    if any(isinstance(found, ConnectionRefusedError) for found in chain):
        return "refuses connections"
    # urllib3 derives "no connection" from "no connection in time".
    if any(isinstance(found, urllib3.exceptions.NewConnectionError) for found in chain):
        return "cannot be reached"
    if any(isinstance(found, (urllib3.exceptions.TimeoutError, TimeoutError)) for found in chain):
        return "does not answer"
    return "cannot be reached"


def _refusal(status: int, body: bytes | str, method: str, path: str) -> tuple[str, int]:
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        message = " ".join(text.split())[:200] or f"{method} {path}"
    return f"the API server answered {status}: {message}", status
