# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What minikube's answers mean: status objects, CloudEvents, exit codes, config.json. Pure.

minikube's `profile list` and its exit code 0 are believed by nobody here; `status -o json` is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault, one_line
from ansible_collections.claudescale.core.plugins.module_utils.minikube.model import Condition, Settings

ERROR_TYPE = "io.k8s.sigs.minikube.error"
STEP_TYPE = "io.k8s.sigs.minikube.step"
EXIT_NOT_FOUND = 85
LOG_LINE = re.compile(r"[IWEF]\d{4} ")

# What to do, by minikube's reason; its own advice is used for the others.
ADVICE: Mapping[str, str] = {
    "PROVIDER_DOCKER_NOT_RUNNING": "start Docker (or correct DOCKER_HOST), then run this again",
    "PROVIDER_DOCKER_NOT_FOUND": "install Docker, then run this again",
    "DRV_AS_ROOT": "run it as a user of the group docker",
    "DRV_UNSUPPORTED_OS": "use a driver that minikube knows on this system, docker for example",
    "GUEST_PROVISION": "look whether the base image can be had and run this again; `minikube logs` tells more",
    "GUEST_START": "run this again; where it fails again, state: absent and then started makes the cluster anew",
    "INET_CACHE_BINARIES": "give this host a way to the release site, or use a host whose cache has that version",
    "MK_ADDON_ENABLE_PAUSED": "run this again",
    "K8S_APISERVER_MISSING": "look whether this Kubernetes version fits minikube's, and whether the host is overloaded",
}
# Where there is neither a known reason nor advice of minikube's: by the exit code's first digit.
ADVICE_BY_RANGE: Mapping[int, str] = {
    1: "check the options given and run this again",
    2: "give it more memory, CPUs or disk",
    3: "check this host's settings and permissions",
    4: "check that this host reaches what is to be downloaded, or have it in minikube's cache",
    5: "check that the driver works on this host",
    6: "check that Docker runs and run this again",
    7: "check this host's networks and firewall",
    8: "run this again; where it fails again, state: absent and then started makes the cluster anew",
    9: "state: absent and then started makes the cluster anew",
}
GENERAL_ADVICE = "run this again; `minikube logs` tells more"


def events(text: str) -> list[dict[str, Any]]:
    """The CloudEvents among the lines of an answer, in order; other lines are left out."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and isinstance(event.get("data"), dict) and "specversion" in event:
                found.append(event)
    return found


def last_step(text: str) -> str:
    """The message of the last step that was begun, empty where none was."""
    steps = [event["data"].get("message", "") for event in events(text) if event.get("type") == STEP_TYPE]
    return one_line(str(steps[-1])) if steps else ""


def failure(command: str, code: int, out: str, err: str) -> Fault:
    """The one sentence for a command that failed: minikube's reason, and advice.

    Of several errors the last with an exit code is the one it died of (with --force earlier ones were overridden); a
    last MK_USAGE only repeats the reason before it.
    """
    if code < 0:
        return Fault("ENDED_BY_SIGNAL", f"{command} was ended by signal {-code}", "run this again")
    errors = [
        event["data"] for event in events(out) if event.get("type") == ERROR_TYPE and event["data"].get("exitcode")
    ]
    telling = [data for data in errors if data.get("name") != "MK_USAGE"] or errors
    if not telling:
        said = [line for line in err.splitlines() if line.strip() and not LOG_LINE.match(line)]
        first = said[0].removeprefix("Error: ") if said else _messages(out) or "it said nothing"
        return Fault("MINIKUBE_FAILED", f"{command} failed: {first}", _advice("", "", code), exit_code=code)
    data = telling[-1]
    name = str(data.get("name") or "MINIKUBE_FAILED")
    return Fault(
        name,
        f"{command} failed: {data.get('message') or name}",
        _advice(name, str(data.get("advice") or ""), code),
        exit_code=code,
    )


def _messages(out: str) -> str:
    found = [str(event["data"].get("message", "")) for event in events(out)]
    return found[-1] if found else one_line(out)


def _advice(name: str, advice: str, code: int) -> str:
    return ADVICE.get(name) or one_line(advice) or ADVICE_BY_RANGE.get(code // 10, GENERAL_ADVICE)


def condition(code: int, out: str) -> tuple[Condition, Mapping[str, Any] | None]:
    """The condition that an answer of `status -o json` tells, with its object (the first node's of several).

    GONE may also mean that Docker does not answer: the caller asks Docker. Fault where it is no answer at all.
    """
    if code == EXIT_NOT_FOUND:
        return Condition.ABSENT, None
    try:
        status = json.loads(out)
    except ValueError:
        raise failure("minikube status", code, out, "") from None
    if status is None:
        return Condition.GONE, None
    nodes = status if isinstance(status, list) else [status]
    if not nodes or not all(isinstance(node, dict) and "Host" in node for node in nodes):
        raise failure("minikube status", code, out, "")
    return _condition_of(nodes), nodes[0]


def _condition_of(nodes: list[Mapping[str, Any]]) -> Condition:
    hosts = {node["Host"] for node in nodes}
    control = [node for node in nodes if not node.get("Worker")] or nodes
    if hosts != {"Running"}:
        return {"Stopped": Condition.STOPPED, "Nonexistent": Condition.GONE}.get(" ".join(hosts), Condition.BROKEN)
    if any(node.get("APIServer") == "Paused" for node in control):
        return Condition.PAUSED
    if any(node.get("Kubeconfig") == "Misconfigured" for node in control):
        return Condition.MISCONFIGURED
    if all(node.get("Kubelet") == "Running" for node in nodes) and all(
        node.get("APIServer") == "Running" for node in control
    ):
        return Condition.RUNNING
    return Condition.BROKEN


def settings(text: str) -> Settings | None:
    """What a profile's config.json says; None where it is none (cut off, or another shape)."""
    try:
        found = json.loads(text)
        kubernetes = found["KubernetesConfig"]
        return Settings(
            driver=str(found["Driver"]),
            memory_mb=int(found["Memory"]),
            cpus=int(found["CPUs"]),
            kubernetes_version=str(kubernetes["KubernetesVersion"]),
            container_runtime=str(kubernetes["ContainerRuntime"]),
            base_image=str(found.get("KicBaseImage") or ""),
            cni=str(kubernetes.get("CNI") or ""),
            addons=frozenset(name for name, on in (found.get("Addons") or {}).items() if on),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
