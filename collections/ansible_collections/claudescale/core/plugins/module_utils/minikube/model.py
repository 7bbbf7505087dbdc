# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The nouns of the minikube module: what is asked for, what was seen, what is to be done. No behaviour, no I/O."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

# minikube's own rule (config.ProfileNameValid), in lower case: the name is a host's and a container's too.
PROFILE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])")
NAMESPACE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?")
LEAST_MEMORY_MB = 1800  # minikube's minUsableMem; with --force it would go on below it
LEAST_CPUS = 2  # minikube's minimumCPUS
DRIVERS = (
    "docker",
    "podman",
    "kvm2",
    "qemu2",
    "virtualbox",
    "vmware",
    "hyperkit",
    "parallels",
    "vfkit",
    "krunkit",
    "none",
    "ssh",
)
DRIVER_ALIASES = {"kvm": "kvm2", "qemu": "qemu2", "generic": "ssh", "native": "none"}
RUNTIMES = ("containerd", "docker", "cri-o")
COMPONENTS = ("apiserver", "system_pods", "default_sa", "apps_running", "node_ready", "kubelet", "extra")


class Wanted(enum.Enum):
    """The states that may be asked for."""

    STARTED = "started"
    STOPPED = "stopped"
    ABSENT = "absent"


class Condition(enum.Enum):
    """What a profile is in, as `minikube status` and the files beside it tell."""

    ABSENT = "absent"
    HALF_MADE = "half-made"  # its first start never ended well
    INTERRUPTED = "interrupted"  # a later start never ended well; parts that run may lack others
    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    MISCONFIGURED = "misconfigured"  # runs, but minikube's kubeconfig for it is missing or stale
    GONE = "gone"  # the profile is there, its container or machine is not
    BROKEN = "broken"  # anything else: parts of it run


class Step(enum.Enum):
    """What can be done to a profile; minikube's own commands."""

    DELETE = "delete"
    START = "start"
    STOP = "stop"
    UNPAUSE = "unpause"
    UPDATE_CONTEXT = "update-context"
    ENABLE_ADDONS = "addons enable"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for; a Request that exists is valid."""

    wanted: Wanted
    profile: str = "claudescale"
    driver: str = "docker"
    memory_mb: int = 4096
    cpus: int = 2
    kubernetes_version: str = "v1.35.1"
    container_runtime: str = "containerd"
    cni: str = "bridge"
    addons: tuple[str, ...] = ()
    base_image: str = ""  # empty: minikube's own
    wait: tuple[str, ...] = ("apiserver", "system_pods")
    namespace: str = "claudescale"
    use_context: bool = False
    timeout: float = 900.0  # seconds for each command of minikube

    def __post_init__(self) -> None:
        object.__setattr__(self, "driver", DRIVER_ALIASES.get(self.driver, self.driver))
        if VERSION.fullmatch(self.kubernetes_version) and not self.kubernetes_version.startswith("v"):
            object.__setattr__(self, "kubernetes_version", f"v{self.kubernetes_version}")
        for fits, code, what, advice in self._rules():
            if not fits:
                raise Fault(code, what, advice)

    def _rules(self) -> tuple[tuple[bool, str, str, str], ...]:
        unknown = [name for name in self.wait if name not in COMPONENTS]
        return (
            (
                bool(PROFILE_NAME.fullmatch(self.profile)) and len(self.profile) <= 63,
                "MK_USAGE",
                f"profile {self.profile!r} is no name minikube takes",
                "use 2 to 63 lower-case letters, digits and inner hyphens",
            ),
            (
                bool(NAMESPACE_NAME.fullmatch(self.namespace)),
                "BadNamespace",
                f"namespace {self.namespace!r} is no name Kubernetes takes",
                "use 1 to 63 lower-case letters, digits and inner hyphens",
            ),
            (
                self.driver in DRIVERS,
                "DRV_UNSUPPORTED",
                f"driver {self.driver!r} is unknown to minikube",
                f"use one of {', '.join(DRIVERS)}",
            ),
            (
                self.memory_mb >= LEAST_MEMORY_MB,
                "RSRC_INSUFFICIENT_REQ_MEMORY",
                f"memory_mb is {self.memory_mb} MB, minikube needs at least {LEAST_MEMORY_MB} MB",
                f"set memory_mb to {LEAST_MEMORY_MB} or more (4096 fits the whole stack)",
            ),
            (
                self.cpus >= LEAST_CPUS,
                "RSRC_INSUFFICIENT_CORES",
                f"cpus is {self.cpus}, Kubernetes needs at least {LEAST_CPUS}",
                f"set cpus to {LEAST_CPUS} or more",
            ),
            (
                bool(VERSION.fullmatch(self.kubernetes_version)),
                "BadKubernetesVersion",
                f"kubernetes_version {self.kubernetes_version!r} is no version",
                "write it as v1.35.1",
            ),
            (
                self.container_runtime in RUNTIMES,
                "RUNTIME_ENABLE",
                f"container_runtime {self.container_runtime!r} is unknown to minikube",
                f"use one of {', '.join(RUNTIMES)}",
            ),
            (
                not unknown,
                "MK_USAGE",
                f"wait names the unknown components {', '.join(unknown)}",
                f"use some of {', '.join(COMPONENTS)}",
            ),
            (self.timeout > 0, "BadTimeout", f"timeout is {self.timeout:g} s", "set it to more than 0 seconds"),
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an existing profile was made with, from its config.json."""

    driver: str
    memory_mb: int
    cpus: int
    kubernetes_version: str
    container_runtime: str
    base_image: str = ""
    cni: str = ""
    addons: frozenset[str] = frozenset()  # the enabled ones


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One look at a profile."""

    condition: Condition
    status: Mapping[str, Any] | None = None  # minikube's own object; None: there is none
    settings: Settings | None = None  # None: no profile, or one that was never finished
    left_running: bool = False  # our last word on it was "started"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What leads from what was seen to what is wanted."""

    steps: tuple[Step, ...] = ()
    addons: tuple[str, ...] = ()  # to be enabled, in order
    warnings: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()  # sentences on what was found broken and is mended
    refusal: Fault | None = None  # then there are no steps


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One side of the diff, and what `changed` is derived from."""

    state: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """What Ansible prints."""
        return {"state": self.state, **self.settings, "context": dict(self.context) if self.context else None}


def version_key(version: str) -> tuple[int, int, int]:
    """Major, minor and patch, to be compared; ValueError where it is no version."""
    found = VERSION.fullmatch(version)
    if found is None:
        raise ValueError(version)
    major, minor, patch = (int(found.group(place)) for place in (1, 2, 3))
    return major, minor, patch
