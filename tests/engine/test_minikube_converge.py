"""Look, decide, do, look again: with a machine whose state is a variable, and real kubeconfig files."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import converge as minikube
from ansible_collections.claudescale.core.plugins.module_utils.minikube import plan as minikube_plan
from ansible_collections.claudescale.core.plugins.module_utils.minikube.cli import DockerFacts
from ansible_collections.claudescale.core.plugins.module_utils.minikube.context import Context
from ansible_collections.claudescale.core.plugins.module_utils.minikube.model import (
    Condition,
    Observed,
    Request,
    Settings,
    Wanted,
)

MADE = Settings(
    driver="docker", memory_mb=4096, cpus=2, kubernetes_version="v1.35.1", container_runtime="containerd", cni="bridge"
)
DOCKER_AWAY = Fault("PROVIDER_DOCKER_NOT_RUNNING", "Docker does not answer", "start Docker")
FOREIGN = "contexts:\n- name: other\n  context: {cluster: other, user: other}\ncurrent-context: other\n"
RUNNING_STATUS = {
    "Name": "claudescale",
    "Host": "Running",
    "Kubelet": "Running",
    "APIServer": "Running",
    "Kubeconfig": "Configured",
    "Worker": False,
}
STOPPED_STATUS = {**RUNNING_STATUS, **dict.fromkeys(("Host", "Kubelet", "APIServer", "Kubeconfig"), "Stopped")}


class Machine:
    """Does at once what minikube does; `calls` names it."""

    program: Path | None = Path("/bin/minikube")

    def __init__(self, folder: Path, condition: Condition, settings: Settings | None = MADE) -> None:
        self.private_kubeconfig = folder / "private"
        self.condition = condition
        self.settings = None if condition is Condition.ABSENT else settings
        self.calls: list[str] = []
        self.docker_facts: DockerFacts | Fault = DockerFacts(memory_mb=8192, cpus=4)
        self.failing: Fault | None = None
        self.after_start = [Condition.RUNNING]
        if condition not in (Condition.ABSENT, Condition.HALF_MADE):
            self._write_private()

    def _write_private(self) -> None:
        cluster = {"server": "https://192.168.49.2:8443", "certificate-authority-data": "Y2E="}
        user = {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
        self.private_kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "claudescale", "cluster": cluster}],
                    "users": [{"name": "claudescale", "user": user}],
                }
            )
        )

    @contextlib.contextmanager
    def alone(self, timeout: float) -> Iterator[None]:
        yield

    def wait_for_others(self, timeout: float) -> None:
        pass

    def look(self) -> Observed:
        status = {Condition.RUNNING: RUNNING_STATUS, Condition.STOPPED: STOPPED_STATUS}.get(self.condition)
        return Observed(condition=self.condition, status=status, settings=self.settings)

    def docker(self) -> DockerFacts:
        if isinstance(self.docker_facts, Fault):
            raise self.docker_facts
        return self.docker_facts

    def known_addons(self) -> frozenset[str]:
        return frozenset({"metrics-server", "ingress"})

    def start(self, request: Request, observed: Observed, addons: Sequence[str]) -> None:
        self.calls.append("start")
        if self.failing is not None:
            self.condition = Condition.HALF_MADE
            raise self.failing
        self.condition = self.after_start.pop(0)
        if self.settings is None or observed.condition is Condition.ABSENT:
            self.settings = dataclasses.replace(
                MADE, memory_mb=request.memory_mb, cpus=request.cpus, addons=frozenset(addons)
            )
        self._write_private()

    def stop(self, request: Request) -> None:
        self.calls.append("stop")
        self.condition = Condition.STOPPED

    def delete(self) -> None:
        self.calls.append("delete")
        self.condition, self.settings = Condition.ABSENT, None

    def unpause(self, request: Request) -> None:
        self.calls.append("unpause")
        self.condition = Condition.RUNNING

    def update_context(self) -> None:
        self.calls.append("update-context")
        self.condition = Condition.RUNNING

    def enable_addon(self, name: str, request: Request) -> None:
        self.calls.append(f"enable {name}")
        assert self.settings is not None
        self.settings = dataclasses.replace(self.settings, addons=self.settings.addons | {name})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(FOREIGN)
    return path


def converge(machine: Machine, config: Path, state: Wanted, *, check: bool = False, **changes: Any) -> minikube.Result:
    request = Request(wanted=state, **changes)
    context = Context(files=[config], profile="claudescale", namespace="claudescale", use=request.use_context)
    return minikube.converge(request, machine, context, check=check)  # type: ignore[arg-type]


@pytest.mark.parametrize("use", [False, True], ids=["context-left", "context-used"])
@pytest.mark.parametrize("addons", [(), ("ingress",)], ids=["no-addons", "addon"])
@pytest.mark.parametrize("state", Wanted)
@pytest.mark.parametrize("condition", Condition)
def test_check_mode_foretells_the_real_run_and_a_second_run_changes_nothing(
    tmp_path: Path, config: Path, condition: Condition, state: Wanted, addons: tuple[str, ...], use: bool
) -> None:
    machine = Machine(tmp_path, condition)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    options: dict[str, Any] = {"addons": addons, "use_context": use}
    foretold = converge(machine, config, state, check=True, **options)
    assert machine.calls == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    real = converge(machine, config, state, **options)
    for part in ("changed", "before", "after", "status", "kubernetes_version", "steps", "warnings"):
        assert getattr(foretold, part) == getattr(real, part), part
    again = converge(machine, config, state, **options)
    assert (again.changed, again.steps, again.backups) == (False, (), ())
    assert yaml.safe_load(config.read_text())["contexts"][0] == yaml.safe_load(FOREIGN)["contexts"][0]


def test_the_context_is_mended_without_a_step(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.RUNNING)
    converge(machine, config, Wanted.STARTED)
    config.write_text(config.read_text().replace("namespace: claudescale", "namespace: other"))
    assert converge(machine, config, Wanted.STARTED, check=True).changed
    mended = converge(machine, config, Wanted.STARTED)
    assert (mended.changed, mended.steps) == (True, ())
    assert mended.message == "profile claudescale is running (its kubeconfig context only)"
    assert mended.before.context is not None
    assert mended.after.context is not None
    assert (mended.before.context["namespace"], mended.after.context["namespace"]) == ("other", "claudescale")


def test_stopped_keeps_the_context_and_absent_removes_it(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.ABSENT)
    started = converge(machine, config, Wanted.STARTED, use_context=True)
    text = config.read_text()
    assert converge(machine, config, Wanted.STOPPED).after.context == started.after.context
    assert config.read_text() == text
    assert converge(machine, config, Wanted.ABSENT).after.context is None
    found = yaml.safe_load(config.read_text())
    assert (found["current-context"], len(found["contexts"])) == ("", 1)


def broken_kubeconfig(machine: Machine, config: Path) -> None:
    config.write_text("clusters: [unclosed")


def read_only_kubeconfig(machine: Machine, config: Path) -> None:
    config.chmod(0o400)


def taken_name(machine: Machine, config: Path) -> None:
    config.write_text("contexts:\n- name: claudescale\n  context: {cluster: eks}\n")


def docker_away(machine: Machine, config: Path) -> None:
    machine.docker_facts = DOCKER_AWAY


def small_docker(machine: Machine, config: Path) -> None:
    machine.docker_facts = DockerFacts(memory_mb=2048, cpus=4)


def slow_docker(machine: Machine, config: Path) -> None:
    machine.docker_facts = DockerFacts(memory_mb=8192, cpus=1)


def nothing(machine: Machine, config: Path) -> None:
    pass


REFUSED = [
    (broken_kubeconfig, {}, "KubeconfigBroken"),
    (read_only_kubeconfig, {}, "KubeconfigReadOnly"),
    (taken_name, {}, "KubeconfigNameTaken"),
    (docker_away, {}, "PROVIDER_DOCKER_NOT_RUNNING"),
    (small_docker, {}, "RSRC_OVER_ALLOC_MEM"),
    (slow_docker, {}, "RSRC_INSUFFICIENT_CORES"),
    (nothing, {"addons": ("no-such",)}, "MK_ADDON_ENABLE"),
]


@pytest.mark.parametrize(("harm", "options", "code"), REFUSED, ids=[row[2] for row in REFUSED])
def test_what_can_be_refused_is_refused_before_the_first_step(
    tmp_path: Path, config: Path, harm: Any, options: dict[str, Any], code: str
) -> None:
    machine = Machine(tmp_path, Condition.ABSENT)
    harm(machine, config)
    before = config.read_bytes()
    with pytest.raises(Fault) as caught:
        converge(machine, config, Wanted.STARTED, **options)
    assert caught.value.code == code
    assert machine.calls == []
    assert config.read_bytes() == before


def test_in_check_mode_docker_away_is_a_warning_where_nothing_is_there_yet(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.ABSENT)
    machine.docker_facts = DOCKER_AWAY
    assert converge(machine, config, Wanted.STARTED, check=True).warnings == (str(DOCKER_AWAY),)
    gone = Machine(tmp_path, Condition.GONE)
    gone.docker_facts = DOCKER_AWAY
    for state in Wanted:
        with pytest.raises(Fault, match="Docker does not answer"):
            converge(gone, config, state, check=True)


def test_absent_of_an_absent_profile_needs_no_docker(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.ABSENT)
    machine.docker_facts = DOCKER_AWAY
    assert not converge(machine, config, Wanted.ABSENT).changed


def test_a_first_start_that_fails_leaves_nothing(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.ABSENT)
    machine.failing = Fault("GUEST_PROVISION", "no image", "look", exit_code=80)
    with pytest.raises(Fault, match="GUEST_PROVISION, exit 80"):
        converge(machine, config, Wanted.STARTED)
    assert machine.calls == ["start", "delete"]
    assert config.read_text() == FOREIGN


def test_a_later_start_that_fails_deletes_nothing(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.STOPPED)
    machine.failing = Fault("GUEST_START", "no", "look", exit_code=80)
    with pytest.raises(Fault, match="GUEST_START"):
        converge(machine, config, Wanted.STARTED)
    assert machine.calls == ["start"]


def test_what_a_first_repair_uncovers_is_repaired_too(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.STOPPED)
    machine.after_start = [Condition.MISCONFIGURED]
    assert converge(machine, config, Wanted.STARTED).steps == ("start", "update-context")


def test_a_state_that_is_not_reached_is_a_fault(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.STOPPED)
    machine.after_start = [Condition.BROKEN] * minikube.ROUNDS
    with pytest.raises(Fault, match="profile claudescale is broken after start, start, start"):
        converge(machine, config, Wanted.STARTED)


def test_addons_are_enabled_on_a_running_cluster(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.RUNNING)
    converge(machine, config, Wanted.STARTED)
    done = converge(machine, config, Wanted.STARTED, addons=("ingress", "metrics-server"))
    assert machine.calls == ["enable ingress", "enable metrics-server"]
    assert done.steps == ("addons enable",)
    assert (done.before.settings["addons"], done.after.settings["addons"]) == ([], ["ingress", "metrics-server"])


def test_nothing_is_done_for_a_refused_plan(tmp_path: Path, config: Path) -> None:
    machine = Machine(tmp_path, Condition.RUNNING)
    refused = minikube_plan.decide(
        Request(wanted=Wanted.STARTED, driver="podman"), Observed(condition=Condition.RUNNING, settings=MADE)
    )
    with pytest.raises(Fault) as caught:
        converge(machine, config, Wanted.STARTED, driver="podman")
    assert str(caught.value) == str(refused.refusal)
    assert machine.calls == []
    assert config.read_text() == FOREIGN
