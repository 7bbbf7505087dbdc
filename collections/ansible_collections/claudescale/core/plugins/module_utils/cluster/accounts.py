# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""A service account's short-lived token, by TokenRequest with somebody else's rights; kept in memory only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

LEAST_SECONDS = 600  # the API server refuses less
FRESH = 0.8  # of a token's life: what kubelet does with a pod's tokens


class AccountToken:
    """The token of a service account, made when it is first wanted and again before it expires.

    `create(path, body)` POSTs with the rights of whoever may make the token. Safe from several threads.
    """

    def __init__(
        self,
        create: Callable[[str, Mapping[str, Any]], Mapping[str, Any]],
        namespace: str,
        name: str,
        *,
        seconds: int = LEAST_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._create = create
        self._path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        self._seconds = seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0  # on the monotonic clock

    def value(self) -> str:
        """A token that is good for a while; ApiError or ClusterStopped where none can be made."""
        with self._lock:
            asked = self._monotonic()
            if not self._token or asked >= self._until:
                self._token, life = self._made()
                self._until = asked + FRESH * life
            return self._token

    def refuse(self, token: str) -> None:
        """Forget the token, which the API server refused; a newer one than this stays."""
        with self._lock:
            if token == self._token:
                self._token = ""

    def _made(self) -> tuple[str, float]:
        answer = self._create(
            self._path,
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": self._seconds},
            },
        )
        token = (answer.get("status") or {}).get("token")
        if not token:
            raise ClaudeScaleError(f"the API server made no token at {self._path}")
        # The answer's spec says what was granted, which may be less than what was asked for.
        return str(token), float((answer.get("spec") or {}).get("expirationSeconds") or self._seconds)
