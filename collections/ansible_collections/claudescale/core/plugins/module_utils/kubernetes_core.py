# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The API server that kubernetes.core's options and variables name, for modules that take them."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster import configurations
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line

try:
    from ansible_collections.kubernetes.core.plugins.module_utils import args_common  # type: ignore[import-untyped]
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s import (  # type: ignore[import-untyped]
        client as k8s_client,
    )

    AUTH_ARG_SPEC: dict[str, Any] = args_common.AUTH_ARG_SPEC
    MISSING = None
except ImportError:
    AUTH_ARG_SPEC = {}
    MISSING = traceback.format_exc()

HOW_TO_GET = "the collection kubernetes.core is missing here: ansible-galaxy collection install kubernetes.core"
FILES = {"ca_cert": "ssl_ca_cert", "client_cert": "cert_file", "client_key": "key_file"}  # kubernetes' own names


class BadOption(ClaudeScaleError):  # noqa: N818 - the text says which one, and what it should be
    """An option that leads to no API server."""


def client_from(module: Any) -> ClusterClient:
    """The way to the API server that an AnsibleModule's options name; ClaudeScaleError where it is bad."""
    # Not get_api_client: it asks the API server for all its kinds first, without our limits of time.
    auth = k8s_client._create_auth_spec(module)
    context = str(auth.get("context") or "")
    if not isinstance(auth.get("kubeconfig", ""), (str, dict)):
        raise BadOption("kubeconfig is neither a path nor a dictionary: name the file")
    for option, name in FILES.items():
        _check_readable(option, auth.get(name))
    try:
        configuration = k8s_client._create_configuration(auth)
    except configurations.UNUSABLE as error:
        raise configurations.unusable(error, context) from error
    headers = {}
    for header, value in k8s_client._create_headers(module).items():
        for one in value if isinstance(value, list) else [value]:
            headers[k8s_client.unique_string(header)] = str(one)  # a name may come several times
    return ClusterClient.from_configuration(
        configuration, namespace=module.params["namespace"], context=context, headers=headers
    )


def _check_readable(name: str, path: str | None) -> None:
    if path is None:
        return
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise ClaudeScaleError(f"{name} {path} cannot be read: {one_line(error.strerror or str(error))}") from error
