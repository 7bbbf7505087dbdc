"""minikube's answers as they were seen on real clusters: states with their exit codes, events, reasons."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import answers
from ansible_collections.claudescale.core.plugins.module_utils.minikube.model import Condition, Settings


def status(host: str, kubelet: str, apiserver: str, kubeconfig: str, **more: object) -> dict[str, Any]:
    return {
        "Name": "claudescale",
        "Host": host,
        "Kubelet": kubelet,
        "APIServer": apiserver,
        "Kubeconfig": kubeconfig,
        "Worker": False,
        **more,
    }


def event(kind: str, **data: str) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": "x",
            "source": "https://minikube.sigs.k8s.io/",
            "type": f"io.k8s.sigs.minikube.{kind}",
            "datacontenttype": "application/json",
            "data": data,
        }
    )


RUNNING = status("Running", "Running", "Running", "Configured")
STOPPED = status("Stopped", "Stopped", "Stopped", "Stopped")
PAUSED = status("Running", "Stopped", "Paused", "Configured")
NO_ENTRY = status("Running", "Running", "Stopped", "Misconfigured")
WORKER = status("Running", "Running", "Irrelevant", "Irrelevant", Worker=True)
NOT_FOUND = "\n".join(
    (
        event("info", message='Profile "claudescale" not found. Run "minikube profile list" to view all profiles.'),
        event("info", message='To start a cluster, run: "minikube start -p claudescale"'),
    )
)
STATES = [
    ("running", 0, json.dumps(RUNNING), Condition.RUNNING, RUNNING),
    ("stopped", 7, json.dumps(STOPPED), Condition.STOPPED, STOPPED),
    ("paused", 2, json.dumps(PAUSED), Condition.PAUSED, PAUSED),
    ("kubeconfig-entry-missing", 6, json.dumps(NO_ENTRY), Condition.MISCONFIGURED, NO_ENTRY),
    ("absent", 85, NOT_FOUND, Condition.ABSENT, None),
    ("docker-away-or-container-removed", 7, "null", Condition.GONE, None),
    ("several-nodes", 0, json.dumps([RUNNING, WORKER]), Condition.RUNNING, RUNNING),
    ("a-worker-stopped", 3, json.dumps([RUNNING, {**WORKER, "Host": "Stopped"}]), Condition.BROKEN, RUNNING),
    ("all-nodes-stopped", 7, json.dumps([STOPPED, STOPPED]), Condition.STOPPED, STOPPED),
    (
        "apiserver-down",
        2,
        json.dumps({**RUNNING, "APIServer": "Stopped"}),
        Condition.BROKEN,
        {**RUNNING, "APIServer": "Stopped"},
    ),
    (
        "kubelet-down",
        2,
        json.dumps({**RUNNING, "Kubelet": "Stopped"}),
        Condition.BROKEN,
        {**RUNNING, "Kubelet": "Stopped"},
    ),
    ("host-error", 7, json.dumps({**STOPPED, "Host": "Error"}), Condition.BROKEN, {**STOPPED, "Host": "Error"}),
    (
        "host-gone",
        7,
        json.dumps({**STOPPED, "Host": "Nonexistent"}),
        Condition.GONE,
        {**STOPPED, "Host": "Nonexistent"},
    ),
]


@pytest.mark.parametrize(
    ("code", "out", "condition", "found"), [row[1:] for row in STATES], ids=[row[0] for row in STATES]
)
def test_states(code: int, out: str, condition: Condition, found: dict[str, Any] | None) -> None:
    assert answers.condition(code, out) == (condition, found)


@pytest.mark.parametrize("out", ["", "[]", "{}", "[null]", "text", '"text"'])
def test_what_is_no_status_is_a_failure(out: str) -> None:
    with pytest.raises(Fault, match=r"^minikube status failed: "):
        answers.condition(14, out)


DOCKER_AWAY = "\n".join(
    (
        event("step", currentstep="1", message="Using the docker driver based on user configuration"),
        event(
            "error",
            advice="Start the Docker service",
            exitcode="63",
            message='"docker version" exit status 1: Cannot connect to the Docker daemon',
            name="PROVIDER_DOCKER_NOT_RUNNING",
        ),
        event("error", advice="", exitcode="14", message="Ensure your Docker is running.", name="MK_USAGE"),
    )
)
FORCED_PAST = "\n".join(
    (
        event("error", message="this one has no exit code and occurs in good runs"),
        event("error", advice="", exitcode="29", message="too few CPUs", name="RSRC_INSUFFICIENT_CORES"),
        event("error", advice="", exitcode="80", message="cannot provision", name="GUEST_PROVISION"),
    )
)
FAILURES = [
    (
        "the-reason-before-a-usage-error",
        (14, DOCKER_AWAY, ""),
        (
            'minikube start failed: "docker version" exit status 1: Cannot connect to the Docker daemon '
            "(PROVIDER_DOCKER_NOT_RUNNING, exit 14): start Docker (or correct DOCKER_HOST), then run this again."
        ),
    ),
    (
        "the-last-one-with-an-exit-code",
        (80, FORCED_PAST, ""),
        (
            "minikube start failed: cannot provision (GUEST_PROVISION, exit 80): look whether the base image can be "
            "had and run this again; `minikube logs` tells more."
        ),
    ),
    (
        "minikube's-own-advice",
        (
            37,
            event("error", advice="chown it\n back.", exitcode="37", message="not\nyours", name="HOST_HOME_PERMISSION"),
            "",
        ),
        "minikube start failed: not yours (HOST_HOME_PERMISSION, exit 37): chown it back.",
    ),
    (
        "a-usage-error-alone",
        (14, event("error", exitcode="14", message="bad name", name="MK_USAGE"), ""),
        "minikube start failed: bad name (MK_USAGE, exit 14): check the options given and run this again.",
    ),
    (
        "no-events",
        (14, "", "Error: unknown flag: --wat\nSee 'minikube start --help' for usage.\n"),
        (
            "minikube start failed: unknown flag: --wat (MINIKUBE_FAILED, exit 14): "
            "check the options given and run this again."
        ),
    ),
    (
        "log-lines-say-nothing",
        (1, "", "E1124 02:44:49.458047 6567 docker.go:243] noise\nX Sorry\n"),
        "minikube start failed: X Sorry (MINIKUBE_FAILED, exit 1): run this again; `minikube logs` tells more.",
    ),
    (
        "killed",
        (-15, "", "E1124 02:44:49.458047 6567 docker.go:243] noise\n"),
        "minikube start was ended by signal 15 (ENDED_BY_SIGNAL): run this again.",
    ),
    (
        "nothing-at-all",
        (1, "", ""),
        "minikube start failed: it said nothing (MINIKUBE_FAILED, exit 1): run this again; `minikube logs` tells more.",
    ),
]


@pytest.mark.parametrize(("ran", "sentence"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_failures_are_one_sentence(ran: tuple[int, str, str], sentence: str) -> None:
    assert str(answers.failure("minikube start", *ran)) == sentence


@pytest.mark.parametrize("code", [10, 14, 23, 29, 37, 48, 55, 63, 70, 81, 90, 106, 116])
def test_every_exit_code_has_advice(code: int) -> None:
    fault = answers.failure("minikube start", code, event("error", exitcode=str(code), message="m", name="N"), "")
    assert fault.exit_code == code
    assert fault.advice


def test_long_messages_are_cut() -> None:
    fault = answers.failure("minikube start", 80, event("error", exitcode="80", message="x " * 5000, name="N"), "")
    assert len(str(fault)) < 600


def test_last_step_is_the_last_one_begun() -> None:
    text = "\n".join(
        (event("step", message="one"), "noise", event("step", message="two ..."), event("info", message="3"))
    )
    assert answers.last_step(text) == "two"
    assert answers.last_step("") == ""


CONFIG = {
    "Name": "claudescale",
    "KicBaseImage": "node:1",
    "Memory": 4096,
    "CPUs": 2,
    "Driver": "docker",
    "KubernetesConfig": {"KubernetesVersion": "v1.35.1", "ContainerRuntime": "containerd", "CNI": "bridge"},
    "Addons": {"metrics-server": True, "ingress": False},
}


def test_settings_of_a_profile() -> None:
    assert answers.settings(json.dumps(CONFIG)) == Settings(
        driver="docker",
        memory_mb=4096,
        cpus=2,
        kubernetes_version="v1.35.1",
        container_runtime="containerd",
        base_image="node:1",
        cni="bridge",
        addons=frozenset({"metrics-server"}),
    )


@pytest.mark.parametrize("addons", [None, {}])
def test_settings_without_addons(addons: object) -> None:
    found = answers.settings(json.dumps({**CONFIG, "Addons": addons}))
    assert found is not None
    assert found.addons == frozenset()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps(CONFIG)[:80], json.dumps({**CONFIG, "Memory": "much"})]
)
def test_a_config_that_was_cut_off_is_none(text: str) -> None:
    assert answers.settings(text) is None
