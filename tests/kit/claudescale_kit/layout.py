"""The results in the places where minikube, Ansible and people look for them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from . import images, node, prebuilt, preload, programs
from .paths import CLONE, Paths
from .steps import Results, Step

# In the order of the work: what others wait for first, the long ones of the node before the small ones.
ALL: tuple[Step, ...] = ()


def _collect(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps and all before them, each once, in an order that can be worked off."""
    ordered: list[Step] = []

    def visit(step: Step) -> None:
        for earlier in step.after:
            visit(earlier)
        if step not in ordered:
            ordered.append(step)

    for step in steps:
        visit(step)
    return tuple(ordered)


ALL = _collect(
    (programs.minikube, programs.kubectl, programs.kubeadm, programs.kubelet, programs.runc_wrapper, node.image,
     images.python, prebuilt.folder, programs.promtool, preload.tarball)
)  # fmt: skip
IN_DAEMON = (node.image, images.python)
_COMMANDS = (programs.minikube, programs.kubectl, programs.promtool)
_NODE_PROGRAMS = (programs.kubeadm, programs.kubelet, programs.kubectl)


def _link(target: Path, place: Path, hard: bool = False) -> None:
    """Put `target` at `place` in one step, so that nobody ever finds half of it."""
    if place.exists() and place.samefile(target):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    if hard:
        os.link(target, unfinished)
    else:
        unfinished.symlink_to(target)
    unfinished.replace(place)


def reference(results: Results, step: Step) -> str:
    """The name of a built image."""
    return (results.path(step) / "reference").read_text(encoding="utf-8").strip()


def overrides(results: Results) -> dict[str, str]:
    """Ansible's variables that differ where the kit is used."""
    python = reference(results, images.python)
    return {
        "cluster_base_image": reference(results, node.image),
        "cluster_kubernetes_version": programs.KUBERNETES,
        "images_python_image": python,
        # Nothing is compiled in it here: vegeta comes from images_prebuilt.
        "images_go_image": python,
        "images_prebuilt": str(results.path(prebuilt.folder)),
        "monitoring_prometheus_image": reference(results, images.prometheus),
        "demo_app_nginx_image": reference(results, images.nginx),
        "demo_app_exporter_image": reference(results, images.exporter),
    }


def _write(place: Path, text: str) -> None:
    if place.is_file() and place.read_text(encoding="utf-8") == text:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(place)


def project(paths: Paths, results: Results) -> None:
    """Commands to `bin`, minikube's cache to its home, image names to an inventory."""
    for step in _COMMANDS:
        _link(results.path(step) / step.name, paths.bin / step.name)
    docker = shutil.which("docker", path="/usr/bin:/usr/local/bin") or shutil.which("docker")
    if docker:
        _link(Path(docker), paths.bin / "docker")
    cache = paths.minikube / "cache"
    for step in _NODE_PROGRAMS:
        _link(results.path(step) / step.name, cache / "linux/amd64" / programs.KUBERNETES / step.name, hard=True)
    _link(results.path(preload.tarball) / preload.NAME, cache / "preloaded-tarball" / preload.NAME, hard=True)
    _write(paths.inventory / "kit.yml", "---\nall: {}\n")
    # JSON is YAML.
    _write(paths.inventory / "group_vars/all.yml", json.dumps(overrides(results), indent=2) + "\n")


def environment(paths: Paths, given: Mapping[str, str], docker_host: str) -> dict[str, str]:
    """The environment for a command that works with the kit."""
    result = dict(given)
    path = given.get("PATH", os.defpath).split(os.pathsep)
    result["PATH"] = os.pathsep.join([*path, *([] if str(paths.bin) in path else [str(paths.bin)])])
    if docker_host:
        result["DOCKER_HOST"] = docker_host
    result["MINIKUBE_HOME"] = str(paths.minikube_home)
    # minikube's flags have their defaults from the environment; its own default, kindnet, is one more image.
    result["MINIKUBE_CNI"] = "bridge"
    result["CLAUDESCALE_KIT_DIR"] = str(paths.kit)
    inventories = [part for part in given.get("ANSIBLE_INVENTORY", "").split(",") if part] or [str(CLONE / "inventory")]
    if str(paths.inventory) not in inventories:
        inventories.append(str(paths.inventory))
    result["ANSIBLE_INVENTORY"] = ",".join(inventories)
    return result
