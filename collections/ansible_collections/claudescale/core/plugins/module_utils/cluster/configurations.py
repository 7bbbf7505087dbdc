# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Where an API server is and how to authenticate there: from a kubeconfig, from inside a pod, or from another one."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.answers import ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

try:
    import urllib3
    import yaml
    from kubernetes import client as kubernetes_client
    from kubernetes import config as kubernetes_config
    from kubernetes.config.config_exception import ConfigException

    UNUSABLE: tuple[type[Exception], ...] = (
        ConfigException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        yaml.YAMLError,
    )
    MISSING = ""
except ImportError as error:  # said when a configuration is made, so that importing this file needs nothing
    UNUSABLE = ()
    MISSING = str(error)

CONNECTIONS = 32  # kept for reuse: more threads than this may ask at once, at the price of new connections

# What leads to the API server and proves that it is the right one; everything else of a configuration says who asks.
SERVER = (
    "host",
    "ssl_ca_cert",
    "ca_cert_data",
    "verify_ssl",
    "assert_hostname",
    "tls_server_name",
    "proxy",
    "no_proxy",
    "proxy_headers",
    "proxy_ssl_context",
)


def from_kubeconfig(context: str, kubeconfig: str | None) -> Any:
    """A context's configuration; ClusterStopped where the kubeconfig lacks it, ClaudeScaleError where it is bad."""
    configuration = _fresh()
    try:
        kubernetes_config.load_kube_config(
            config_file=kubeconfig, context=context, client_configuration=configuration, persist_config=False
        )
    except UNUSABLE as error:
        raise unusable(error, context) from error
    return configuration


def from_pod() -> Any:
    """The pod's service account; its token file is read again each minute. ClaudeScaleError outside a pod."""
    configuration = _fresh()
    try:
        kubernetes_config.load_incluster_config(client_configuration=configuration)
    except UNUSABLE as error:
        raise ClaudeScaleError(f"this is no pod with a service account: {one_line(error)}") from error
    return configuration


def from_other(other: Any) -> Any:
    """A copy of a kubernetes Configuration, with its credentials and their refresh hook."""
    return _bounded(copy.deepcopy(other))


def unusable(error: Exception, context: str) -> ClaudeScaleError:
    """What one of UNUSABLE means when a kubeconfig is loaded; `context` is "" where none was named."""
    if not isinstance(error, ConfigException):
        return ClaudeScaleError(f"the kubeconfig cannot be read: {one_line(error)}")
    if "Expected object with name" in str(error) or "Invalid kube-config file. No configuration" in str(error):
        missing = f"no context {context}" if context else "no kubeconfig"
        return ClusterStopped(f"the cluster is stopped: make up ({missing} here)")
    return ClaudeScaleError(f"the kubeconfig cannot be used: {one_line(error)}")


def without_credentials(other: Any) -> Any:
    """The way to the same API server, without any of the credentials."""
    configuration = _fresh()
    for name in SERVER:
        setattr(configuration, name, getattr(other, name))
    return configuration


def one_line(error: Exception) -> str:
    """The error's text without line breaks, its type's name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def _fresh() -> Any:
    if MISSING:
        raise ClaudeScaleError(f"the Python package kubernetes is missing here ({MISSING}): pip install kubernetes")
    return _bounded(kubernetes_client.Configuration())


def _bounded(configuration: Any) -> Any:
    # urllib3 would repeat a refused or silent connection three times.
    configuration.retries = urllib3.Retry(total=0)
    configuration.client_go_retries = False
    configuration.connection_pool_maxsize = CONNECTIONS
    return configuration
