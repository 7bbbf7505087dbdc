#!/usr/bin/python
# Copyright (c) 2026 ClaudeScale contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: minikube
short_description: A minikube cluster and its kubeconfig context
version_added: 0.1.0
author:
  - ClaudeScale contributors (@claudescale)
description:
  - Starts, stops or deletes one minikube profile and keeps its context in a kubeconfig.
  - What is there is always read from C(minikube status -o json), never from C(minikube profile list).
  - minikube itself works on a private kubeconfig beside its profiles. The entry is then merged into yours - nothing
    else in it changes, the content before a change is kept beside it in a file that ends in C(.claudescale.bak), and
    the file is replaced in one step.
  - A container that was killed or removed, a paused cluster, a stale entry and a start that was interrupted are
    repaired, and a warning says so.
  - A change of driver or container runtime and an older Kubernetes version are refused before anything is done. Memory,
    CPUs, base image and CNI of an existing profile stay as they are, a warning names the remedy.
requirements:
  - Python >= 3.11 on the host that runs minikube
  - PyYAML
  - Docker, for O(driver=docker)
notes:
  - minikube refuses to run as root unless it gets C(--force). This module passes C(--force) when, and only when, it
    runs with user ID 0, and checks memory and CPUs itself, because C(--force) makes minikube skip most of its checks.
  - minikube and kubectl are taken from PATH; where they are missing O(state=started) downloads them with a checksum.
attributes:
  check_mode:
    description: Can run in check mode and tell what would change without changing anything.
    support: full
    details:
      - Programs that are missing are not downloaded. Where Docker does not answer and the profile is absent, a warning
        says so.
  diff_mode:
    description: Returns what changed, or in check mode would change.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
  platform:
    description: Where it runs.
    support: full
    platforms: posix
options:
  state:
    description:
      - V(started) makes the cluster or starts it, and merges its context.
      - V(stopped) stops it where it runs; data and context are kept. An absent profile is left absent.
      - V(absent) deletes it with its data, and removes its context.
    type: str
    choices: [started, stopped, absent]
    default: started
  profile:
    description: Name of the minikube profile, and of cluster, user and context in the kubeconfig.
    type: str
    default: claudescale
  driver:
    description: minikube's driver.
    type: str
    default: docker
  memory_mb:
    description: Memory of a new cluster, in MB (V(1800) or more).
    type: int
    default: 4096
  cpus:
    description: CPUs of a new cluster (V(2) or more).
    type: int
    default: 2
  kubernetes_version:
    description: Version of Kubernetes. A newer one than the profile's is an upgrade, an older one is refused.
    type: str
    default: v1.35.1
  container_runtime:
    description: Container runtime in the node.
    type: str
    choices: [containerd, docker, cri-o]
    default: containerd
  cni:
    description: CNI of a new cluster; an empty string leaves it to minikube.
    type: str
    default: bridge
  addons:
    description: Addons to be enabled. Others are left as they are.
    type: list
    elements: str
    default: []
  base_image:
    description: Image of the node for the drivers docker and podman; empty for minikube's own.
    type: str
    default: ""
  wait:
    description: Components that a start waits for.
    type: list
    elements: str
    choices: [apiserver, system_pods, default_sa, apps_running, node_ready, kubelet, extra]
    default: [apiserver, system_pods, default_sa, node_ready, kubelet]
  kubeconfig:
    description:
      - Kubeconfig that gets the context. Several files may be named as in E(KUBECONFIG); the first that has the context
        is used, else the first.
      - E(KUBECONFIG) by default, else C(~/.kube/config).
    type: str
  namespace:
    description: Default namespace of the context.
    type: str
    default: claudescale
  use_context:
    description: Whether the context becomes the current one.
    type: bool
    default: false
  download_dir:
    description:
      - Where programs that are not on PATH are downloaded to.
      - C($XDG_CACHE_HOME/claudescale/bin) by default, with C(~/.cache) where that variable is not set.
    type: path
  minikube_version:
    description: The version of minikube that is downloaded when there is none on PATH.
    type: str
    default: v1.38.1
  minikube_base_url:
    description: Release site of minikube; version and file name are appended.
    type: str
    default: https://github.com/kubernetes/minikube/releases/download
  minikube_checksum:
    description: SHA-256 of minikube's binary. By default the one that the release site has beside the file.
    type: str
  kubectl_base_url:
    description: Release site of kubectl; version, platform and file name are appended.
    type: str
    default: https://dl.k8s.io/release
  kubectl_checksum:
    description: SHA-256 of kubectl's binary. By default the one that the release site has beside the file.
    type: str
  timeout:
    description: Seconds that each command of minikube may take.
    type: int
    default: 900
"""

EXAMPLES = r"""
- name: Have a cluster with metrics-server
  claudescale.core.minikube:
    state: started
    addons: [metrics-server]

- name: Stop it, keep its data
  claudescale.core.minikube:
    state: stopped

- name: Delete it and its context
  claudescale.core.minikube:
    state: absent

- name: Have a second, larger cluster in a kubeconfig of its own
  claudescale.core.minikube:
    profile: larger
    memory_mb: 8192
    cpus: 4
    kubeconfig: ~/.kube/larger
    use_context: true
"""

RETURN = r"""
status:
  description: minikube's own status object, of the first node of several; V(none) where there is no cluster.
  returned: success
  type: dict
  sample:
    Name: claudescale
    Host: Running
    Kubelet: Running
    APIServer: Running
    Kubeconfig: Configured
    Worker: false
state:
  description: The profile's condition in one word - running, stopped, absent or gone.
  returned: success
  type: str
  sample: running
reachable:
  description: Whether the cluster runs now; in check mode that is before the changes that would be made.
  returned: success
  type: bool
  sample: true
context:
  description:
    - Name, default namespace and file of the context, and whether it is the current one.
    - V(none) where there is no context.
  returned: success
  type: dict
  sample: {"name": "claudescale", "namespace": "claudescale", "kubeconfig": "/home/me/.kube/config", "current": false}
versions:
  description: Versions of minikube, of the cluster's Kubernetes (V(none) where there is no cluster) and of kubectl.
  returned: success
  type: dict
  sample: {"minikube": "v1.38.1", "kubernetes": "v1.35.1", "client": "v1.35.1"}
binaries:
  description:
    - Path of each program and where it came from.
    - That is one of path, downloaded before, downloaded, would be downloaded and missing.
  returned: success
  type: dict
  sample:
    minikube: {path: /usr/bin/minikube, source: path}
    kubectl: {path: /usr/bin/kubectl, source: path}
steps:
  description: minikube's commands that were run, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [start]
backups:
  description: Files that keep the kubeconfig's content from before the change.
  returned: success
  type: list
  elements: str
  sample: [/home/me/.kube/config.claudescale.bak]
diff:
  description: State, settings and context before and after.
  returned: success
  type: dict
reason:
  description: minikube's reason code, or ours where minikube was not asked.
  returned: failure
  type: str
  sample: PROVIDER_DOCKER_NOT_RUNNING
exit_code:
  description: minikube's exit code; V(none) where minikube was not asked.
  returned: failure
  type: int
  sample: 63
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import converge as minikube
from ansible_collections.claudescale.core.plugins.module_utils.minikube import programs as minikube_programs
from ansible_collections.claudescale.core.plugins.module_utils.minikube.cli import Minikube
from ansible_collections.claudescale.core.plugins.module_utils.minikube.context import Context
from ansible_collections.claudescale.core.plugins.module_utils.minikube.kubeconfig import YAML_ERROR, paths
from ansible_collections.claudescale.core.plugins.module_utils.minikube.model import (
    COMPONENTS,
    RUNTIMES,
    Request,
    Wanted,
)

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": [state.value for state in Wanted], "default": "started"},
    "profile": {"type": "str", "default": "claudescale"},
    "driver": {"type": "str", "default": "docker"},
    "memory_mb": {"type": "int", "default": 4096},
    "cpus": {"type": "int", "default": 2},
    "kubernetes_version": {"type": "str", "default": "v1.35.1"},
    "container_runtime": {"type": "str", "choices": list(RUNTIMES), "default": "containerd"},
    "cni": {"type": "str", "default": "bridge"},
    "addons": {"type": "list", "elements": "str", "default": []},
    "base_image": {"type": "str", "default": ""},
    "wait": {
        "type": "list",
        "elements": "str",
        "choices": list(COMPONENTS),
        "default": ["apiserver", "system_pods", "default_sa", "node_ready", "kubelet"],
    },
    "kubeconfig": {"type": "str"},
    "namespace": {"type": "str", "default": "claudescale"},
    "use_context": {"type": "bool", "default": False},
    "download_dir": {"type": "path"},
    "minikube_version": {"type": "str", "default": "v1.38.1"},
    "minikube_base_url": {"type": "str", "default": minikube_programs.MINIKUBE_SITE},
    "minikube_checksum": {"type": "str"},
    "kubectl_base_url": {"type": "str", "default": minikube_programs.KUBECTL_SITE},
    "kubectl_checksum": {"type": "str"},
    "timeout": {"type": "int", "default": 900},
}
SAME_NAMES = (
    "profile",
    "driver",
    "memory_mb",
    "cpus",
    "kubernetes_version",
    "container_runtime",
    "cni",
    "base_image",
    "namespace",
    "use_context",
)


def request_from(parameters: dict[str, Any]) -> Request:
    """The engine's request; Fault where the parameters make none."""
    return Request(
        wanted=Wanted(parameters["state"]),
        addons=tuple(parameters["addons"]),
        wait=tuple(parameters["wait"]),
        timeout=float(parameters["timeout"]),
        **{name: parameters[name] for name in SAME_NAMES},
    )


def programs(parameters: dict[str, Any], request: Request, *, check: bool) -> dict[str, minikube_programs.Program]:
    """Find minikube and kubectl; fetch them only for a start."""
    folder = Path(parameters["download_dir"] or minikube_programs.default_folder(os.environ))
    versions = {"minikube": parameters["minikube_version"], "kubectl": request.kubernetes_version}
    found = {}
    for name, version in versions.items():
        needed = minikube_programs.Needed(
            name=name,
            version=version,
            site=parameters[f"{name}_base_url"],
            checksum=parameters[f"{name}_checksum"],
        )
        if request.wanted is Wanted.STARTED:
            found[name] = minikube_programs.obtain(needed, folder, os.environ, check=check, timeout=60)
        else:
            found[name] = minikube_programs.find(needed, folder, os.environ)
    return found


def perform(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do what the parameters say; the module's result."""
    request = request_from(parameters)
    context = Context(
        files=paths(parameters["kubeconfig"] or os.environ.get("KUBECONFIG"), home=Path.home()),
        profile=request.profile,
        namespace=request.namespace,
        use=request.use_context,
    )
    context.check_readable()
    found = programs(parameters, request, check=check)
    machine = Minikube(profile=request.profile, program=found["minikube"].path, environment=os.environ)
    done = minikube.converge(request, machine, context, check=check)
    return {
        "changed": done.changed or any(program.changed for program in found.values()),
        "msg": done.message,
        "state": done.after.state,
        "status": done.status,
        "reachable": done.reachable,
        "context": done.after.context,
        "versions": {
            "minikube": found["minikube"].version,
            "kubernetes": done.kubernetes_version,
            "client": found["kubectl"].version,
        },
        "binaries": {
            name: {"path": str(program.path) if program.path else None, "source": program.source}
            for name, program in found.items()
        },
        "steps": list(done.steps),
        "backups": list(done.backups),
        "diff": {"before": done.before.as_dict(), "after": done.after.as_dict()},
        "warnings": list(done.warnings),
    }


def main() -> None:
    """Parse, call the engine, translate."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if YAML_ERROR is not None:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=YAML_ERROR)
    try:
        result = perform(module.params, check=module.check_mode)
    except Fault as fault:
        module.fail_json(msg=str(fault), reason=fault.code, exit_code=fault.exit_code)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
