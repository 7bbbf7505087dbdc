# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The API server, as plain dictionaries: every request bounded in time, every failure one sentence, nothing repeated.

Callers build paths of the Kubernetes REST API. Whose rights are used is in configurations.py and accounts.py, how
requests travel in transport.py, what errors mean in answers.py. A client may be used by several threads at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from ansible_collections.claudescale.core.plugins.module_utils.cluster import (
    accounts,
    answers,
    configurations,
    lists,
)
from ansible_collections.claudescale.core.plugins.module_utils.cluster.answers import ApiError, ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.cluster.streams import Lines
from ansible_collections.claudescale.core.plugins.module_utils.cluster.transport import READ_SECONDS, Transport
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

__all__ = ["ApiError", "ClusterClient", "ClusterStopped"]

STREAM_SILENCE_SECONDS = 30.0  # more than the server-side time-out of a watch, so silence means a dead line
WATCH_SECONDS = 20

PatchKind = Literal["merge", "json", "apply", "strategic"]
PATCHES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",  # JSON is YAML
    "strategic": "application/strategic-merge-patch+json",
}


class ClusterClient:
    """Requests to one API server. `namespace` is where the callers' paths point by default.

    Made from a kubeconfig's context: ClaudeScaleError where it cannot be read, ClusterStopped where it lacks the
    context; for other ways see in_cluster, from_configuration and as_account. Every method raises ApiError where the
    API server refuses, ClusterStopped where nothing answers in time, ClaudeScaleError for what is wrong on the way.
    A method that writes may raise ClusterStopped although the write took place.
    """

    def __init__(self, *, context: str, namespace: str, kubeconfig: str | None = None) -> None:
        self._set_up(configurations.from_kubeconfig(context, kubeconfig), namespace, context, kubeconfig)

    @classmethod
    def in_cluster(cls, *, namespace: str) -> ClusterClient:
        """With the service account of the pod that this runs in; ClaudeScaleError where it runs in none."""
        return cls._made(configurations.from_pod(), namespace)

    @classmethod
    def from_configuration(
        cls, configuration: Any, *, namespace: str, context: str = "", headers: Mapping[str, str] | None = None
    ) -> ClusterClient:
        """With a kubernetes Configuration that somebody else made; it is copied. `context` is for sentences only.

        `headers` are sent with every request, such as those of impersonation.
        """
        return cls._made(configurations.from_other(configuration), namespace, context, headers)

    def as_account(self, name: str, seconds: int = accounts.LEAST_SECONDS) -> ClusterClient:
        """A client that uses nothing but tokens of the namespace's service account, each good for so many seconds.

        The token is made by this client's rights when a request first needs it, and again in time. A 401 makes a new
        one and sends the request again, once: what is not authenticated has not been done.
        """
        client = self._made(configurations.without_credentials(self.configuration), self.namespace, self.context)
        client._transport.use(accounts.AccountToken(self.create, self.namespace, name, seconds=seconds))
        return client

    @classmethod
    def _made(
        cls, configuration: Any, namespace: str, context: str = "", headers: Mapping[str, str] | None = None
    ) -> ClusterClient:
        client = cls.__new__(cls)
        client._set_up(configuration, namespace, context, headers=headers)
        return client

    def _set_up(
        self,
        configuration: Any,
        namespace: str,
        context: str,
        kubeconfig: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.context = context  # "" where no kubeconfig's context leads here
        self.namespace = namespace
        self.kubeconfig = kubeconfig
        self.configuration = configuration
        self._transport = Transport(configuration, context, headers)
        # Callables (Date header, sent, received; the times are monotonic), called in the thread that asked, where the
        # answer is the API server's own.
        self.on_response = self._transport.observers

    def authorization(self) -> str:
        """The Authorization header of a request that is sent now, "" where a certificate (or nothing) says who asks."""
        return self._transport.authorization()

    # Reads

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

    def pages(
        self, path: str, query: Mapping[str, str] | None = None, limit: int = lists.PAGE
    ) -> Iterator[dict[str, Any]]:
        """The items of a list, read `limit` at a time, each object once.

        Where the list expires while it is read (410), it is read again from its beginning: what came before stays as
        it was given. ApiError with status 410 where that happens too often.
        """
        return lists.each(lists.pages(self.get, path, query or {}, limit))

    def listed(
        self, path: str, query: Mapping[str, str] | None = None, limit: int = lists.PAGE
    ) -> tuple[list[dict[str, Any]], str]:
        """All items of a list as they were at one moment, and that moment's resourceVersion, to watch from."""
        return lists.whole(lists.pages(self.get, path, query or {}, limit))

    def whoami(self) -> str:
        """The username that the API server knows this client by."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = self.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
        return str(answer["status"]["userInfo"]["username"])

    def allowed(self, verb: str, group: str, resource: str, namespace: str = "", name: str = "") -> bool:
        """Whether RBAC lets this client do it; `resource` may be "deployments/scale". Admission is not asked."""
        kind, part = resource.partition("/")[::2]
        wanted = {"verb": verb, "group": group, "resource": kind, "subresource": part, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**wanted, "name": name}},
        }
        answer = self.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool(answer["status"].get("allowed"))

    # Writes

    def create(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        field_manager: str | None = None,
        dry_run: bool = False,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """POST an object; its answer."""
        return self._json("POST", path, query=_write_query(query, field_manager, dry_run), body=dict(body))

    def patch(
        self,
        path: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        kind: PatchKind = "merge",
        field_manager: str | None = None,
        dry_run: bool = False,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """PATCH an object, as it is then. A body of kind "json" is a list of operations.

        The precondition is part of the body: metadata.resourceVersion, or an operation `test`.
        """
        sent = dict(body) if isinstance(body, Mapping) else [dict(operation) for operation in body]
        wanted = _write_query(query, field_manager, dry_run)
        return self._json("PATCH", path, query=wanted, body=sent, content_type=PATCHES[kind])

    def delete(self, path: str, *, propagation: str = "Background", uid: str | None = None) -> None:
        """DELETE an object; one that is gone already is no error. ApiError with 409 where its UID is another one."""
        body: dict[str, Any] = {"propagationPolicy": propagation}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            self._json("DELETE", path, body=body)
        except ApiError as error:
            if error.status != 404:
                raise

    # Text and streams

    def text(self, path: str, query: Mapping[str, str] | None = None, *, seconds: float = READ_SECONDS) -> str:
        """GET a path that answers with text, such as a service's proxy."""
        response = self._transport.send("GET", path, query=query, seconds=seconds)
        return self._transport.body(response).decode(errors="replace")

    def stream(
        self, path: str, query: Mapping[str, str] | None = None, *, silence: float = STREAM_SILENCE_SECONDS
    ) -> Lines:
        """GET a long answer, to be iterated by one thread; another may hang_up()."""
        response = self._transport.send("GET", path, query=query, seconds=silence)
        return Lines(response, self._transport.unreachable)

    def lines(
        self, path: str, query: Mapping[str, str] | None = None, *, silence: float = STREAM_SILENCE_SECONDS
    ) -> Iterator[str]:
        """GET a stream, line by line until the server ends it; ClusterStopped after so many seconds of silence."""
        yield from self.stream(path, query, silence=silence)

    def watch(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(ADDED, MODIFIED or DELETED, object) of a list's path, beginning with what is there.

        One connection, ended by the server after WATCH_SECONDS: callers call again, or use watch.follow. ApiError
        with status 410 and others where the watch ends with an error.
        """
        wanted = {**(query or {}), "watch": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        for line in self.lines(path, wanted):
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise answers.watch_refusal(event["object"])
            if event["type"] != "BOOKMARK":
                yield event["type"], event["object"]

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        body = self._transport.body(self._transport.send(method, path, seconds=READ_SECONDS, **more))
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ClaudeScaleError(f"what answers at {self.configuration.host} is no API server: {method} {path}")
        return answer


def _write_query(query: Mapping[str, str] | None, field_manager: str | None, dry_run: bool) -> dict[str, str]:
    return {
        **(query or {}),
        **({"fieldManager": field_manager} if field_manager else {}),
        **({"dryRun": "All"} if dry_run else {}),
    }
