"""Where attacks are made: a namespace with leases, records and workloads, the identities, and guards to leave out."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.attacking import (
    ANOTHER,
    ASSISTANT,
    ASSISTANT_USER,
    CONTROLLER,
    CONTROLLER_USER,
    ENDER,
    HOME,
    OURS,
    PERSON,
    RBAC,
    STAGE,
    USERS,
    Call,
    Guard,
    Right,
    Rule,
    Validation,
    thing,
)
from tests.cluster.attacks import lease, record
from tests.support import Cluster

EFFECTIVE_SECONDS = 15.0  # by then a change of rights, policies and CRDs works; measured: 2 s at most
GONE_SECONDS = 60
GRANT = "claudescale-attacks"  # the name of what opens RBAC


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What kubectl said."""

    code: int
    text: str

    @property
    def succeeded(self) -> bool:
        return self.code == 0

    def line(self) -> str:
        """Its last line, without what goes before the reason."""
        lines = [line for line in self.text.strip().splitlines() if line.strip()]
        return lines[-1].removeprefix("Error from server (Forbidden): ") if lines else ""


@dataclass(kw_only=True)
class Stage:
    """The identities' kubeconfigs, and what the calls' {names} stand for."""

    cluster: Cluster
    kubeconfigs: dict[str, Path]
    facts: dict[str, str] = field(default_factory=dict)
    originals: dict[str, dict[str, Any]] = field(default_factory=dict)

    def user(self, identity: str) -> str:
        """The name by which the API server knows an identity."""
        return USERS.get(identity) or (self.facts["person"] if identity == PERSON else identity)

    def run(self, identity: str, call: Call, *, dry: bool) -> Answer:
        """Make the call."""
        arguments, body = call.command(self.facts, dry)
        if identity in self.kubeconfigs:
            head = ["kubectl", "--kubeconfig", str(self.kubeconfigs[identity])]
        else:
            head = ["kubectl", "--context", self.cluster.context]
            head += [] if identity == PERSON else ["--as", identity]
        arguments.insert(arguments.index("--") if "--" in arguments else len(arguments), "--request-timeout=20s")
        done = subprocess.run(
            [*head, *arguments],
            input=body or "", capture_output=True, text=True, check=False, timeout=60, env=self.cluster.environment,
        )  # fmt: skip
        return Answer(code=done.returncode, text=done.stdout + done.stderr)

    def give(self, objects: Iterable[dict[str, Any]], *verb: str) -> None:
        """Create objects as the person, or do with them what `verb` says."""
        body = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.cluster.kubectl(*(verb or ("create",)), "-f", "-", input=body)

    @contextmanager
    def granted(self, rights: Iterable[tuple[str, Right]]) -> Iterator[None]:
        """RBAC opened: each user has the right beside it, and nothing more."""
        objects = [item for index, (user, right) in enumerate(rights) for item in _grant(user, right, index)]
        if objects:
            self.give(objects)
        try:
            yield
        finally:
            if objects:
                self.give(objects, "delete", "--wait=false")

    def take_back_all(self) -> None:
        """What an interrupted run opened is shut."""
        for kinds, scope in (("rolebindings,roles", ("--all-namespaces",)), ("clusterrolebindings,clusterroles", ())):
            self.cluster.kubectl("delete", kinds, *scope, "-l", f"attacks={GRANT}", "--wait=false")

    def leave_out(self, guards: Iterable[Validation | Rule]) -> None:
        """Exactly these validations and rules are left out; what an earlier call left out stands again."""
        wanted: dict[str, list[Validation | Rule]] = {}
        for guard in guards:
            wanted.setdefault(_home(guard), []).append(guard)
        changed = [name for name in self.originals if name not in wanted]
        for name in wanted:
            if name not in self.originals:
                self.originals[name] = _bare(self.cluster.get(*name.split("/"), "--show-managed-fields"))
        if wanted:
            self.give([_without(self.originals[name], guards) for name, guards in wanted.items()], "replace")
        for name in changed:
            self.restore(name)

    def restore(self, name: str) -> None:
        """What was left out of this object stands again, and its fields belong to whom they belonged."""
        # The second write changes no value: so it changes the owners as they stand in it.
        original = self.originals.pop(name)
        for _ in range(2):
            self.give([original], "replace")

    def until(self, identity: str, call: Call, guard: Guard | None) -> Answer:
        """Dry runs until the guard refuses or, without a guard, the call succeeds; in any case the last answer."""
        ends = time.monotonic() + EFFECTIVE_SECONDS
        while True:
            answer = self.run(identity, call, dry=True)
            if is_expected(answer, guard, self.user(identity)) or time.monotonic() > ends:
                return answer
            time.sleep(0.1)


def is_expected(answer: Answer, guard: Guard | None, user: str) -> bool:
    """Whether the guard refused, in its own words; without a guard, whether the call succeeded."""
    return answer.succeeded if guard is None else not answer.succeeded and guard.refuses(answer.text, user)


def _grant(user: str, right: Right, index: int) -> list[dict[str, Any]]:
    wide = "" if right.namespace else "Cluster"
    metadata = {"labels": {"attacks": GRANT}, **({"namespace": right.namespace} if right.namespace else {})}
    name = f"{GRANT}-{index}"
    rule = {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
    role = {"apiGroup": RBAC, "kind": f"{wide}Role", "name": name}
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": user}]
    return [
        thing(f"{RBAC}/v1", f"{wide}Role", name, metadata=dict(metadata), rules=[rule]),
        thing(f"{RBAC}/v1", f"{wide}RoleBinding", name, metadata=dict(metadata), roleRef=role, subjects=subjects),
    ]


def _home(guard: Validation | Rule) -> str:
    """The object that holds the guard."""
    if isinstance(guard, Validation):
        return f"validatingadmissionpolicy/{guard.policy}"
    return f"crd/{guard.plural}.{OURS}"


def _bare(found: dict[str, Any]) -> dict[str, Any]:
    """An object that can be written again, with the owners of its fields."""
    found["metadata"].pop("resourceVersion")
    found.pop("status", None)
    return found


def _without(original: dict[str, Any], guards: Iterable[Validation | Rule]) -> dict[str, Any]:
    """A copy without these guards; AssertionError where one is not there exactly once."""
    found: dict[str, Any] = json.loads(json.dumps(original))
    for guard in guards:
        hits = [
            (rules, rule)
            for rules in _lists_of_rules(found)
            for rule in rules
            if guard.says in rule.get("message", rule.get("messageExpression", ""))
        ]
        assert len(hits) == 1, f"{guard} is there {len(hits)} times"
        rules, rule = hits[0]
        if isinstance(guard, Validation):
            rule["expression"] = "true"  # a policy must have one validation at least
        else:
            rules.remove(rule)
    return found


def rules_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Every CEL rule of a CRD, every validation of a policy."""
    return [rule for rules in _lists_of_rules(found) for rule in rules]


def _lists_of_rules(found: Any) -> Iterator[list[dict[str, Any]]]:
    """Every list of CEL rules in a CRD or a policy."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key in ("validations", "x-kubernetes-validations"):
                yield value
            else:
                yield from _lists_of_rules(value)
    elif isinstance(found, list):
        for value in found:
            yield from _lists_of_rules(value)


def kubeconfig_of(cluster: Cluster, account: str, path: Path) -> Path:
    """A kubeconfig that holds the account's own token, by TokenRequest, and nothing of the person's."""
    view = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    token = cluster.kubectl("create", "token", account, "--namespace", HOME, "--duration=30m").strip()
    context = {"cluster": "it", "user": "it", "namespace": STAGE}
    made = {
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": view["clusters"][0]["cluster"]}],
        "contexts": [{"name": "it", "context": context}],
        "users": [{"name": "it", "user": {"token": token}}],
    }  # fmt: skip
    path.write_text(json.dumps(made), encoding="utf-8")
    path.chmod(0o600)
    return path


def _workloads() -> list[dict[str, Any]]:
    """Workloads that make no pods: a paused Deployment, one of 0, and a StatefulSet that fits on no node."""
    labels = {"app": "it"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "it", "image": "none:none"}]}}
    usual = {"selector": {"matchLabels": labels}, "template": template}
    nowhere = {**template, "spec": {**template["spec"], "nodeSelector": {"attacks": "nowhere"}}}
    here = {"namespace": STAGE}
    return [
        thing("apps/v1", "Deployment", "steady", metadata=here, spec={**usual, "replicas": 2, "paused": True}),
        thing("apps/v1", "Deployment", "asleep", metadata=here, spec={**usual, "replicas": 0, "paused": True}),
        thing("apps/v1", "StatefulSet", "steady", metadata=here, spec={**usual, "template": nowhere, "replicas": 2}),
        thing(
            "autoscaling/v2", "HorizontalPodAutoscaler", "steady",
            metadata={**here, "annotations": {"example.com/theirs": "yes"}},
            spec={
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "steady"},
                "minReplicas": 2, "maxReplicas": 5,
            },
        ),
    ]  # fmt: skip


def _rights(cluster: Cluster) -> list[dict[str, Any]]:
    """The assistant's and the controller's rights as they are at home, and those of two more people."""
    everything = ["get", "list", "watch", "create", "update", "patch", "delete"]

    def rule(verbs: list[str], *resources: str) -> dict[str, Any]:
        return {"apiGroups": [OURS], "resources": list(resources), "verbs": verbs}

    def role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
        return thing(f"{RBAC}/v1", "Role", name, metadata={"namespace": STAGE}, rules=rules)

    def binding(user: str, name: str, kind: str = "Role", to: str = "") -> dict[str, Any]:
        subjects = [{"apiGroup": RBAC, "kind": "User", "name": user}]
        ref = {"apiGroup": RBAC, "kind": kind, "name": to or name}
        return thing(f"{RBAC}/v1", "RoleBinding", name, metadata={"namespace": STAGE}, roleRef=ref, subjects=subjects)

    assistants = cluster.get("role", "claudescale-sa", "--namespace", HOME)["rules"]
    return [
        role("assistant", assistants),
        binding(ASSISTANT_USER, "assistant"),
        binding(CONTROLLER_USER, "controller", "ClusterRole", f"claudescale:{HOME}:controller"),
        role("another", [rule(everything, "capacityleases", "capacityleases/status", "scalingrecords")]),
        binding(ANOTHER, "another"),
        role("ender", [rule(["get", "patch", "end"], "capacityleases")]),
        binding(ENDER, "ender"),
    ]


def _pod(cluster: Cluster, name: str) -> str:
    found = cluster.get("pods", "--namespace", HOME, "-l", f"app.kubernetes.io/name={name}")["items"]
    running = [
        pod for pod in found if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]
    return str(running[0]["metadata"]["name"])


@contextmanager
def staged(cluster: Cluster, folder: Path) -> Iterator[Stage]:
    """The stage, from its making to its end: a namespace that goes within 60 s, records and all."""
    remove(cluster)
    stage = Stage(
        cluster=cluster,
        kubeconfigs={
            ASSISTANT: kubeconfig_of(cluster, "claudescale-sa", folder / "assistant"),
            CONTROLLER: kubeconfig_of(cluster, "claudescale-controller", folder / "controller"),
        },
    )
    stage.facts = {
        "pod": _pod(cluster, "demo-app"),
        "controller_pod": _pod(cluster, "claudescale-controller"),
        "node": cluster.get("nodes")["items"][0]["metadata"]["name"],
        "person": json.loads(cluster.kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"],
    }
    try:
        stage.give([thing("v1", "Namespace", STAGE), *_rights(cluster), *_workloads()])
        for identity, body in (
            (ASSISTANT, lease("own", onBehalfOf="somebody")),
            (ASSISTANT, lease("timed", startTime="2099-01-01T00:00:00Z", endTime="2099-01-01T01:00:00Z")),
            (ASSISTANT, lease("over")),
            (ANOTHER, lease("anothers", requestedBy=ANOTHER)),
            (CONTROLLER, record("record-0000000000", sequence=0)),
        ):
            made = stage.run(identity, Call(arguments=("create", "-n", STAGE, "-f", "-"), body=body), dry=False)
            assert made.succeeded, made.text
        over = ("patch", "capacitylease", "over", "-n", STAGE, "--type=merge", "-p", '{"spec":{"ended":true}}')
        made = stage.run(ASSISTANT, Call(arguments=over), dry=False)
        assert made.succeeded, made.text
        own = cluster.get("capacitylease", "own", "--namespace", STAGE)
        stage.facts["own_version"] = own["metadata"]["resourceVersion"]
        yield stage
    finally:
        for name in list(stage.originals):
            stage.restore(name)
        stage.take_back_all()
        remove(cluster)


def remove(cluster: Cluster) -> None:
    """The stage's namespace is gone, with the records in it; AssertionError after 60 s."""
    cluster.kubectl("delete", "namespace", STAGE, "--ignore-not-found", f"--timeout={GONE_SECONDS}s")
