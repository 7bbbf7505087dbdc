"""What must be refused, as data: each attack with the guards that stand before it, and its twin, which is allowed.

An attack is one call of kubectl under one identity. Its guards stand one behind the other: the first must refuse it,
in its
own words; with the first left out, the second; with all of them left out,
the attack succeeds. test_attacks.py does that.
The twin is nearly the same call, which somebody may do: so the objects exist and the request is well formed.
"""

from __future__ import annotations

from typing import Any

from tests.cluster.attacking import (
    ADMISSION,
    ANOTHER,
    ASSISTANT,
    ASSISTANT_USER,
    CLEANER,
    CONTROLLER,
    CONTROLLER_USER,
    CRDS,
    ENDER,
    HOME,
    OURS,
    PERSON,
    RBAC,
    STAGE,
    Attack,
    Call,
    Guard,
    Right,
    Rule,
    Validation,
    apply,
    create,
    delete,
    patch,
    put,
    read,
    replace,
    thing,
)

WORKLOAD = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "steady"}
ZEROS = "0" * 64


def lease(name: str, metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """The assistant's own, for ten minutes, but for what is named; None takes a field away."""
    usual = {"workloadRef": WORKLOAD, "replicas": 3, "reason": "a test", "requestedBy": ASSISTANT_USER}
    if "endTime" not in spec:
        usual["durationSeconds"] = 600
    wanted = {key: value for key, value in {**usual, **spec}.items() if value is not None}
    return thing(f"{OURS}/v1alpha1", "CapacityLease", name, metadata=metadata or {}, spec=wanted)


def record(name: str = "record-0000000001", metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    usual = {
        "sequence": 1, "previousHash": ZEROS, "hash": ZEROS, "payload": "{}", "time": "2026-01-01T00:00:00.000000Z",
        "actor": "nobody", "door": "none", "outcome": "Refused",
    }  # fmt: skip
    return thing(f"{OURS}/v1alpha1", "ScalingRecord", name, metadata=metadata or {}, spec={**usual, **spec})


def policy(name: str, **spec: Any) -> dict[str, Any]:
    wanted = {"workloadRef": WORKLOAD, "mode": "Enforce", "maxReplicas": 500, **spec}
    return thing(f"{OURS}/v1alpha1", "ScalingPolicy", name, spec=wanted)


def ref(api: str, kind: str, name: str) -> dict[str, Any]:
    """Of an object that does not exist; its uid is made up."""
    return {"apiVersion": api, "kind": kind, "name": name, "uid": "00000000-0000-4000-8000-000000000000"}


OWNER = {"ownerReferences": [ref("v1", "ConfigMap", "nobodys")]}
FINALIZER = {"finalizers": ["example.com/stay"]}

POD_SPEC = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [{
        "name": "it", "image": "none:none", "imagePullPolicy": "Never",
        "resources": {"requests": {"cpu": "1m"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }],
    "restartPolicy": "Never",
}  # fmt: skip
AUTOSCALER = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-app"},
    "minReplicas": 4,
    "maxReplicas": 5,
}
SUBJECT = {"kind": "ServiceAccount", "name": "claudescale-sa", "namespace": HOME}
ADMIN = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
HELD = "is attempting to grant RBAC permissions not currently held"
WEBHOOK = {
    "name": "try.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
    "clientConfig": {"url": "https://192.0.2.1/"}, "failurePolicy": "Ignore",
    "rules": [{"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"],
    "resources": ["nothing"]}],
}  # fmt: skip

# The guards that several attacks name.
REQUESTER = Validation(policy="claudescale-lease-requester", says="spec.requestedBy must be who asks")
LEASE_ALONE = Validation(policy="claudescale-lease-requester", says="a lease has neither owners nor finalizers")
LEASE_CHANGER = Validation(policy="claudescale-lease-end", says="only who requested the lease, ")
LEASE_METADATA = Validation(
    policy="claudescale-lease-end", says="labels, annotations, owners and finalizers of a lease"
)
STATUS_WRITER = Validation(policy="claudescale-lease-status", says="only the controller writes the status of a lease")
RECORD_WRITER = Validation(policy="claudescale-records", says="only the controller writes records")
RECORD_ALONE = Validation(policy="claudescale-records", says="a record has neither owners nor finalizers")
RECORD_STAYS_AS_IT_IS = Validation(policy="claudescale-records", says="a record is never changed")
RECORD_STAYS = Validation(policy="claudescale-records", says="a record goes only with its namespace")
HPA_SPEC = Validation(policy="claudescale-controller-hpa", says="the controller may change minReplicas only")
HPA_METADATA = Validation(policy="claudescale-controller-hpa", says="labels, owners or finalizers")
HPA_ANNOTATIONS = Validation(policy="claudescale-controller-hpa", says="those of claudescale.io/ only")
SCALE_FROM_ZERO = Validation(policy="claudescale-controller-scale", says="the workload is switched off by 0 replicas")
SCALE_UP = Validation(policy="claudescale-controller-scale", says="the controller only scales up")

LEASE_NAME = Rule(plural="capacityleases", says="the name may have at most 63 characters")
ONE_END = Rule(plural="capacityleases", says="give exactly one of endTime and durationSeconds")
END_AFTER_START = Rule(plural="capacityleases", says="endTime must be after startTime")
SAME_SPEC = Rule(plural="capacityleases", says="the spec of a lease never changes, except ended")
ENDED_STAYS = Rule(plural="capacityleases", says="ended goes from false to true and never back")
NOT_BORN_ENDED = Rule(plural="capacityleases", says="a lease cannot be created ended")
PLAIN_REASON = Rule(plural="capacityleases", says="the reason is one line without control characters")
PLAIN_CLAIM = Rule(plural="capacityleases", says="onBehalfOf is one line without control characters")
POLICY_NAME = Rule(plural="scalingpolicies", says="the name must be the workload's kind in lower case, a dot")
POLICY_BOUNDS = Rule(plural="scalingpolicies", says="minReplicas (1 where it is absent) may not be above maxReplicas")
POLICY_DURATIONS = Rule(plural="scalingpolicies", says="may not be above lease.maxDurationSeconds")
RECORD_NAME = Rule(plural="scalingrecords", says="the name must be record- and the sequence with ten digits")
SAME_RECORD = Rule(plural="scalingrecords", says="the spec of a record never changes")


def leases(verb: str, part: str = "", namespace: str = STAGE) -> Right:
    return Right(verb=verb, resource=f"capacityleases{part}", group=OURS, namespace=namespace)


def records(verb: str, namespace: str = STAGE) -> Right:
    return Right(verb=verb, resource="scalingrecords", group=OURS, namespace=namespace)


def policies(verb: str) -> Right:
    return Right(verb=verb, resource="scalingpolicies", group=OURS)


def autoscalers(verb: str, namespace: str = HOME) -> Right:
    return Right(verb=verb, resource="horizontalpodautoscalers", group="autoscaling", namespace=namespace)


def apps(verb: str, resource: str, namespace: str = HOME) -> Right:
    return Right(verb=verb, resource=resource, group="apps", namespace=namespace)


def core(verb: str, resource: str, namespace: str | None = HOME) -> Right:
    return Right(verb=verb, resource=resource, namespace=namespace)


def wide(verb: str, resource: str, group: str) -> Right:
    return Right(verb=verb, resource=resource, group=group, namespace=None)


def withheld(name: str, right: Right, call: Call, twin_by: str = PERSON, twin: Call | None = None) -> Attack:
    """An attack of the assistant that RBAC alone refuses."""
    return Attack(name=name, by=ASSISTANT, call=call, guards=(right,), twin_by=twin_by, twin=twin)


FLOOR = {"spec": {"minReplicas": 4}}
CONTROLLERS_SERVICE = f"/api/v1/namespaces/{HOME}/services/claudescale-controller:8080/proxy/metrics"
LEASES_URL = f"/apis/{OURS}/v1alpha1/namespaces/{STAGE}/capacityleases"
SCALE_URL = f"/apis/apps/v1/namespaces/{HOME}/deployments/demo-app/scale"
SCALE = thing("autoscaling/v1", "Scale", "demo-app", metadata={"namespace": HOME}, spec={"replicas": 4})
EVENT = thing(
    "v1", "Event", "forged", reason="Forged", message="nothing happened", type="Normal",
    involvedObject={"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-app", "namespace": HOME},
)  # fmt: skip

ON_WORKLOADS = (
    withheld("raise the floor itself", autoscalers("patch"), patch("hpa/demo-app-hpa", FLOOR)),
    withheld("raise the autoscaler's maximum", autoscalers("patch"), patch("hpa/demo-app-hpa",
             {"spec": {"maxReplicas": 50}})),
    withheld("claim the floor by annotation", autoscalers("patch"),
             patch("hpa/demo-app-hpa", {"metadata": {"annotations": {"claudescale.io/base": "5"}}})),
    withheld("replace the autoscaler", autoscalers("update"),
             replace(thing("autoscaling/v2", "HorizontalPodAutoscaler", "demo-app-hpa", spec=AUTOSCALER))),
    withheld("create a second autoscaler", autoscalers("create"),
             create(thing("autoscaling/v2", "HorizontalPodAutoscaler", "second", spec=AUTOSCALER))),
    withheld("delete the autoscaler", autoscalers("delete"), delete("hpa/demo-app-hpa")),
    withheld("raise a floor elsewhere", autoscalers("patch", STAGE), patch("hpa/steady", FLOOR, STAGE)),
    withheld("scale the deployment", apps("patch", "deployments/scale"),
             Call(arguments=("scale", "deployment", "demo-app", "-n", HOME, "--replicas=4"))),
    withheld("put the deployment's scale", apps("update", "deployments/scale"),
             put(SCALE_URL, SCALE)),
    withheld("scale a statefulset", apps("patch", "statefulsets/scale", STAGE),
             Call(arguments=("scale", "statefulset", "steady", "-n", STAGE, "--replicas=4"))),
    withheld("write the deployment's replicas", apps("patch", "deployments"),
             patch("deployment/demo-app", {"spec": {"replicas": 4}})),
    withheld("change the deployment's image", apps("patch", "deployments"),
             Call(arguments=("set", "image", "deployment/demo-app", "nginx=mine", "-n", HOME))),
    withheld("change the controller's environment", apps("patch", "deployments"),
             Call(arguments=("set", "env", "deployment/claudescale-controller", "-n", HOME,
             "CLAUDESCALE_NAMESPACES=default"))),
    withheld("delete the controller", apps("delete", "deployments"), delete("deployment/claudescale-controller")),
    withheld("create a deployment", apps("create", "deployments"),
             create(thing("apps/v1", "Deployment", "mine", spec={
                 "selector": {"matchLabels": {"a": "b"}},
                 "template": {"metadata": {"labels": {"a": "b"}}, "spec": {**POD_SPEC, "restartPolicy": "Always"}}}))),
    withheld("create a pod", core("create", "pods"), create(thing("v1", "Pod", "mine", spec=POD_SPEC))),
    withheld("create a job", Right(verb="create", resource="jobs", group="batch"),
             create(thing("batch/v1", "Job", "mine", spec={"template": {"spec": POD_SPEC}}))),
    withheld("delete the controller's pod", core("delete", "pods"), delete("pod/{controller_pod}")),
    withheld("evict a pod", core("create", "pods/eviction"),
             Call(arguments=("create", "--raw", f"/api/v1/namespaces/{HOME}/pods/{{pod}}/eviction", "-f", "-"),
                  body=thing("policy/v1", "Eviction", "{pod}", metadata={"namespace": HOME}))),
    withheld("run a command in the controller", core("create", "pods/exec"),
             read("exec", "{controller_pod}", "-n", HOME, "--", "python3", "-c", "pass")),
    withheld("read the controller's logs", core("get", "pods/log"), read("logs", "{controller_pod}", "-n", HOME,
             "--tail=1")),
    withheld("send the demo's traffic elsewhere", core("patch", "services"),
             patch("service/demo-app", {"spec": {"selector": {"app.kubernetes.io/name": "mine"}}})),
    withheld("delete the disruption budget", Right(verb="delete", resource="poddisruptionbudgets", group="policy"),
             delete("poddisruptionbudget/demo-app")),
    withheld("forge an event", core("create", "events"), create(EVENT)),
)  # fmt: skip

ON_THE_CLUSTER = (
    withheld("list secrets", core("list", "secrets"), read("get", "secrets", "-n", HOME)),
    withheld("list secrets of the system", core("list", "secrets", "kube-system"), read("get", "secrets", "-n",
             "kube-system")),
    withheld("list configmaps", core("list", "configmaps"), read("get", "configmaps", "-n", HOME)),
    withheld("list pods of the system", core("list", "pods", "kube-system"), read("get", "pods", "-n", "kube-system")),
    withheld("read the controller's metrics", core("get", "services/proxy"), read("get", "--raw", CONTROLLERS_SERVICE)),
    withheld("read the kubelet", core("get", "nodes/proxy", None), read("get", "--raw",
             "/api/v1/nodes/{node}/proxy/healthz")),
    # Not by kubectl cordon, which ends with 0 where it is refused.
    withheld("cordon the node", core("patch", "nodes", None), patch("node/{node}", {"spec": {"unschedulable": True}})),
    withheld("act as the controller", core("impersonate", "serviceaccounts"),
             read("get", "scalingpolicies", "-n", HOME, f"--as={CONTROLLER_USER}")),
    withheld("act as another person", core("impersonate", "users", None), read("get", "capacityleases", "-n", STAGE,
             f"--as={ANOTHER}")),
    Attack(name="act as a member of system:masters", by=ASSISTANT,
           call=read("get", "secrets", "-n", HOME, f"--as={ANOTHER}", "--as-group=system:masters"),
           guards=(core("impersonate", "users", None), core("impersonate", "groups", None))),
    withheld("take the controller's token", core("create", "serviceaccounts/token"),
             read("create", "token", "claudescale-controller", "-n", HOME)),
    withheld("change the controller's account", core("patch", "serviceaccounts"),
             apply(thing("v1", "ServiceAccount", "claudescale-controller", metadata={"labels": {"mine": "yes"}}))),
    Attack(name="bind itself to cluster-admin here", by=ASSISTANT,
           call=create(thing(f"{RBAC}/v1", "RoleBinding", "mine", roleRef=ADMIN, subjects=[SUBJECT])),
           guards=(Right(verb="create", resource="rolebindings", group=RBAC),
                   Right(verb="bind", resource="clusterroles", group=RBAC, says=HELD))),
    Attack(name="bind itself to cluster-admin everywhere", by=ASSISTANT,
           call=create(thing(f"{RBAC}/v1", "ClusterRoleBinding", "mine", roleRef=ADMIN, subjects=[SUBJECT])),
           guards=(wide("create", "clusterrolebindings", RBAC),
                   Right(verb="bind", resource="clusterroles", group=RBAC, namespace=None, says=HELD))),
    Attack(name="widen its own role", by=ASSISTANT,
           call=apply(thing(f"{RBAC}/v1", "Role", "claudescale-sa", rules=[EVERYTHING])),
           guards=(Right(verb="patch", resource="roles", group=RBAC),
                   Right(verb="escalate", resource="roles", group=RBAC, says=HELD))),
    withheld("add a validating webhook", wide("create", "validatingwebhookconfigurations", ADMISSION),
             create(thing(f"{ADMISSION}/v1", "ValidatingWebhookConfiguration", "mine", webhooks=[WEBHOOK]))),
    withheld("add a mutating webhook", wide("create", "mutatingwebhookconfigurations", ADMISSION),
             create(thing(f"{ADMISSION}/v1", "MutatingWebhookConfiguration", "mine", webhooks=[WEBHOOK]))),
    withheld("delete an admission policy", wide("delete", "validatingadmissionpolicies", ADMISSION),
             delete("validatingadmissionpolicy/claudescale-records")),
    withheld("delete an admission policy's binding", wide("delete", "validatingadmissionpolicybindings", ADMISSION),
             delete("validatingadmissionpolicybinding/claudescale-records")),
    withheld("weaken an admission policy", wide("patch", "validatingadmissionpolicies", ADMISSION),
             apply(thing(f"{ADMISSION}/v1", "ValidatingAdmissionPolicy", "claudescale-records",
             spec={"failurePolicy": "Ignore"}))),
    withheld("relabel a CRD", wide("patch", "customresourcedefinitions", CRDS),
             apply(thing(f"{CRDS}/v1", "CustomResourceDefinition", f"scalingrecords.{OURS}",
             metadata={"labels": {"mine": "yes"}}))),
    withheld("delete a CRD", wide("delete", "customresourcedefinitions", CRDS), delete(f"crd/scalingrecords.{OURS}")),
    withheld("raise the quota", core("patch", "resourcequotas"),
             patch("resourcequota/claudescale-leases", {"spec": {"hard": {f"count/capacityleases.{OURS}": "100000"}}})),
    withheld("lower the namespace's pod security", core("patch", "namespaces"),
             apply(thing("v1", "Namespace", HOME,
             metadata={"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}))),
    withheld("delete the namespace", core("delete", "namespaces"), Call(arguments=("delete", "namespace", HOME,
             "--wait=false"))),
)  # fmt: skip

OUR_POLICY = "scalingpolicy/deployment.demo-app"
ON_POLICIES = (
    withheld("raise the policy's maximum", policies("patch"), patch(OUR_POLICY, {"spec": {"maxReplicas": 500}})),
    withheld("replace the policy", policies("update"),
             replace(policy("deployment.demo-app", workloadRef={**WORKLOAD, "name": "demo-app"}))),
    withheld("create a policy", policies("create"), create(policy("deployment.steady"))),
    withheld("delete the policy", policies("delete"), delete(OUR_POLICY)),
    Attack(name="a policy under another name", by=PERSON, call=create(policy("deployment.other")),
           guards=(POLICY_NAME,),
           twin=create(policy("deployment.steady"))),
    Attack(name="a second policy for one workload", by=PERSON, call=create(policy("statefulset.steady")),
           guards=(POLICY_NAME,),
           twin=create(policy("statefulset.steady", workloadRef={**WORKLOAD, "kind": "StatefulSet"}))),
    Attack(name="a policy with minimum above maximum", by=PERSON, call=create(policy("deployment.steady",
           minReplicas=501)),
           guards=(POLICY_BOUNDS,), twin=create(policy("deployment.steady", minReplicas=500))),
    Attack(name="a policy with default duration above the longest", by=PERSON,
           call=create(policy("deployment.steady", lease={"maxDurationSeconds": 1799})),
           guards=(POLICY_DURATIONS,), twin=create(policy("deployment.steady", lease={"maxDurationSeconds": 1800}))),
)  # fmt: skip


def status(name: str) -> Call:
    body = thing(f"{OURS}/v1alpha1", "CapacityLease", name, status={"phase": "Active"})
    return apply(body, STAGE, part="status")


OWN_END = patch("capacitylease/own", {"spec": {"ended": True}}, STAGE)
GOOD_LEASE = create(lease("new"), STAGE)
# What is changed in the lease `own` or, for its endTime, in `timed`.
CHANGES: dict[str, Any] = {
    "workloadRef": {"name": "asleep"}, "replicas": 4, "startTime": "2099-01-01T00:00:01Z", "durationSeconds": 601,
    "reason": "another", "requestedBy": ANOTHER, "onBehalfOf": "somebody else",
}  # fmt: skip

ON_LEASES = (
    *(Attack(name=f"change a lease's {key}", by=ASSISTANT, call=patch("capacitylease/own", {"spec": {key: value}},
             STAGE),
             guards=(SAME_SPEC,), twin_by=ASSISTANT, twin=OWN_END) for key, value in CHANGES.items()),
    Attack(name="change a lease's endTime", by=ASSISTANT,
           call=patch("capacitylease/timed", {"spec": {"endTime": "2099-01-01T02:00:00Z"}}, STAGE), guards=(SAME_SPEC,),
           twin_by=ASSISTANT, twin=patch("capacitylease/timed", {"spec": {"ended": True}}, STAGE)),
    Attack(name="take a lease's startTime away", by=ASSISTANT,
           call=patch("capacitylease/timed", [{"op": "remove", "path": "/spec/startTime"}], STAGE, kind="json"),
           guards=(SAME_SPEC,),
           twin_by=ASSISTANT, twin=patch("capacitylease/timed", [{"op": "add", "path": "/spec/ended", "value": True}],
           STAGE, kind="json")),
    Attack(name="un-end a lease", by=ASSISTANT, call=patch("capacitylease/over", {"spec": {"ended": False}}, STAGE),
           guards=(ENDED_STAYS,), twin_by=ASSISTANT, twin=patch("capacitylease/over", {"spec": {"ended": True}},
           STAGE)),
    Attack(name="take the end of a lease away", by=ASSISTANT, call=patch("capacitylease/over",
           {"spec": {"ended": None}}, STAGE),
           guards=(ENDED_STAYS,), twin_by=ASSISTANT, twin=OWN_END),
    Attack(name="end another's lease", by=ASSISTANT, call=patch("capacitylease/anothers", {"spec": {"ended": True}},
           STAGE),
           guards=(LEASE_CHANGER,), twin_by=ANOTHER),
    Attack(name="end another's lease without the verb end", by=ASSISTANT,
           call=patch("capacitylease/anothers", {"spec": {"ended": True}}, STAGE),
           guards=(Right(verb="end", resource="capacityleases", group=OURS, namespace=STAGE,
                         says=f"or who has the verb end on capacityleases may change it; you are {ASSISTANT_USER}"),),
           twin_by=ENDER),
    Attack(name="end another's lease by a server-side apply", by=ASSISTANT,
           call=apply(lease("anothers", requestedBy=ANOTHER, ended=True), STAGE), guards=(LEASE_CHANGER,),
           twin_by=ANOTHER),
    Attack(name="relabel a lease", by=ASSISTANT, call=patch("capacitylease/own", {"metadata": {"labels": {"a": "b"}}},
           STAGE),
           guards=(LEASE_METADATA,), twin_by=ASSISTANT, twin=OWN_END),
    Attack(name="annotate a lease", by=ASSISTANT, call=patch("capacitylease/own",
           {"metadata": {"annotations": {"a": "b"}}}, STAGE),
           guards=(LEASE_METADATA,), twin_by=ASSISTANT, twin=OWN_END),
    Attack(name="hang a lease on an owner", by=ASSISTANT, call=patch("capacitylease/own", {"metadata": OWNER}, STAGE),
           guards=(LEASE_METADATA,), twin_by=ASSISTANT, twin=OWN_END),
    Attack(name="hold a lease by a finalizer", by=ASSISTANT, call=patch("capacitylease/own", {"metadata": FINALIZER},
           STAGE),
           guards=(LEASE_METADATA,), twin_by=ASSISTANT, twin=OWN_END),
    Attack(name="ask in another's name", by=ASSISTANT, call=create(lease("new", requestedBy=ANOTHER), STAGE),
           guards=(REQUESTER,),
           twin_by=ANOTHER),
    Attack(name="ask in the controller's name", by=ASSISTANT, call=create(lease("new", requestedBy=CONTROLLER_USER),
           STAGE),
           guards=(REQUESTER,), twin_by=ASSISTANT, twin=GOOD_LEASE),
    Attack(name="ask in another's name by a server-side apply", by=ASSISTANT, call=apply(lease("new",
           requestedBy=ANOTHER), STAGE),
           guards=(REQUESTER,), twin_by=ASSISTANT, twin=apply(lease("new"), STAGE)),
    Attack(name="ask in the person's name, here", by=ASSISTANT, call=create(lease("new", requestedBy="{person}")),
           guards=(REQUESTER,), twin_by=PERSON),
    Attack(name="ask for a lease with an owner", by=ASSISTANT, call=create(lease("new", metadata=OWNER), STAGE),
           guards=(LEASE_ALONE,), twin_by=ASSISTANT, twin=GOOD_LEASE),
    Attack(name="ask for a lease with a finalizer", by=ASSISTANT, call=create(lease("new", metadata=FINALIZER), STAGE),
           guards=(LEASE_ALONE,), twin_by=ASSISTANT, twin=GOOD_LEASE),
    Attack(name="ask in another namespace", by=ASSISTANT, call=create(lease("new"), "default"),
           guards=(leases("create", namespace="default"),), twin_by=ASSISTANT, twin=GOOD_LEASE),
    Attack(name="ask for a lease that has ended", by=ASSISTANT, call=create(lease("new", ended=True), STAGE),
           guards=(NOT_BORN_ENDED,), twin_by=ASSISTANT, twin=create(lease("new", ended=False), STAGE)),
    Attack(name="a name of 64 characters", by=ASSISTANT, call=create(lease("n" * 64), STAGE), guards=(LEASE_NAME,),
           twin_by=ASSISTANT, twin=create(lease("n" * 63), STAGE)),
    Attack(name="two ends", by=ASSISTANT, call=create(lease("new", endTime="2099-01-01T00:00:00Z", durationSeconds=1),
           STAGE),
           guards=(ONE_END,), twin_by=ASSISTANT, twin=create(lease("new", endTime="2099-01-01T00:00:00Z"), STAGE)),
    Attack(name="no end", by=ASSISTANT, call=create(lease("new", durationSeconds=None), STAGE), guards=(ONE_END,),
           twin_by=ASSISTANT, twin=GOOD_LEASE),
    Attack(name="an end at its start", by=ASSISTANT,
           call=create(lease("new", startTime="2099-01-01T01:00:00+01:00", endTime="2099-01-01T00:00:00Z"), STAGE),
           guards=(END_AFTER_START,), twin_by=ASSISTANT,
           twin=create(lease("new", startTime="2099-01-01T01:00:00+01:00", endTime="2099-01-01T00:00:01Z"), STAGE)),
    Attack(name="a reason of two lines", by=ASSISTANT, call=create(lease("new", reason="one\ntwo"), STAGE),
           guards=(PLAIN_REASON,),
           twin_by=ASSISTANT, twin=create(lease("new", reason="one two, ö and 発売"), STAGE)),
    Attack(name="a reason that turns the direction of writing", by=ASSISTANT, call=create(lease("new",
           reason="a\u202eb"), STAGE),
           guards=(PLAIN_REASON,), twin_by=ASSISTANT, twin=GOOD_LEASE),
    Attack(name="a claim with a terminal's escape", by=ASSISTANT, call=create(lease("new", onBehalfOf="\x1b[2J"),
           STAGE),
           guards=(PLAIN_CLAIM,), twin_by=ASSISTANT, twin=create(lease("new", onBehalfOf="[2J"), STAGE)),
    Attack(name="replace another's lease", by=ASSISTANT, call=replace(lease("anothers", requestedBy=ANOTHER,
           ended=True), STAGE),
           guards=(leases("update"), LEASE_CHANGER), twin_by=ANOTHER),
    withheld("delete another's lease", leases("delete"), delete("capacitylease/anothers", STAGE), twin_by=ANOTHER),
    withheld("delete all leases", leases("deletecollection"), Call(arguments=("delete", "--raw", LEASES_URL))),
    Attack(name="accept its own lease", by=ASSISTANT, call=status("own"),
           guards=(leases("patch", "/status"), STATUS_WRITER), twin_by=CONTROLLER),
    Attack(name="replace its own lease's status", by=ASSISTANT,
           call=put(f"{LEASES_URL}/own/status", {**lease("own", {"resourceVersion": "{own_version}"}),
           "status": {"phase": "Active"}}),
           guards=(leases("update", "/status"), STATUS_WRITER), twin_by=CONTROLLER,
           twin=status("own")),
    Attack(name="another person writes a status", by=ANOTHER, call=status("anothers"),
           guards=(STATUS_WRITER,), twin_by=CONTROLLER),
    Attack(name="the person writes a status", by=PERSON, call=status("own"),
           guards=(STATUS_WRITER,), twin_by=CONTROLLER),
    Attack(name="the person asks in the assistant's name", by=PERSON, call=create(lease("new"), STAGE),
           guards=(REQUESTER,),
           twin_by=ASSISTANT),
    Attack(name="the person relabels a lease", by=PERSON, call=patch("capacitylease/own",
           {"metadata": {"labels": {"a": "b"}}}, STAGE),
           guards=(LEASE_METADATA,), twin=OWN_END),
)  # fmt: skip

FIRST = "scalingrecord/record-0000000000"
OTHER_PAYLOAD = {"spec": {"payload": '{"forged":true}'}}
LABEL = {"metadata": {"labels": {"a": "b"}}}
FIRST_READ = read("get", *FIRST.split("/"), "-n", STAGE)
GOOD_RECORD = create(record(), STAGE)

ON_RECORDS = (
    Attack(name="forge a record", by=ASSISTANT, call=GOOD_RECORD, guards=(records("create"), RECORD_WRITER),
           twin_by=CONTROLLER),
    Attack(name="rewrite a record", by=ASSISTANT, call=patch(FIRST, OTHER_PAYLOAD, STAGE),
           guards=(records("patch"), SAME_RECORD, RECORD_STAYS_AS_IT_IS), twin_by=ASSISTANT, twin=FIRST_READ),
    Attack(name="replace a record", by=ASSISTANT, call=replace(record("record-0000000000", sequence=0,
           actor="somebody"), STAGE),
           guards=(records("update"), SAME_RECORD, RECORD_STAYS_AS_IT_IS), twin_by=ASSISTANT, twin=FIRST_READ),
    Attack(name="relabel a record", by=ASSISTANT, call=patch(FIRST, LABEL, STAGE), guards=(records("patch"),
           RECORD_STAYS_AS_IT_IS),
           twin_by=ASSISTANT, twin=FIRST_READ),
    Attack(name="delete a record", by=ASSISTANT, call=delete(FIRST, STAGE), guards=(records("delete"), RECORD_STAYS),
           twin_by=CLEANER),
    Attack(name="another person forges a record", by=ANOTHER, call=GOOD_RECORD, guards=(RECORD_WRITER,),
           twin_by=CONTROLLER),
    Attack(name="another person rewrites a record", by=ANOTHER, call=patch(FIRST, OTHER_PAYLOAD, STAGE),
           guards=(SAME_RECORD, RECORD_STAYS_AS_IT_IS), twin_by=ANOTHER, twin=FIRST_READ),
    Attack(name="the person forges a record", by=PERSON, call=GOOD_RECORD, guards=(RECORD_WRITER,), twin_by=CONTROLLER),
    Attack(name="the person relabels a record", by=PERSON, call=patch(FIRST, LABEL, STAGE),
           guards=(RECORD_STAYS_AS_IT_IS,),
           twin=FIRST_READ),
    Attack(name="the person deletes a record", by=PERSON, call=delete(FIRST, STAGE), guards=(RECORD_STAYS,),
           twin_by=CLEANER),
)  # fmt: skip

OUR_ANNOTATIONS = {"claudescale.io/base": "2", "claudescale.io/floor": "3", "claudescale.io/leases": "own"}
RAISE = patch("hpa/steady", {"metadata": {"annotations": OUR_ANNOTATIONS}, "spec": {"minReplicas": 3}}, STAGE)


def controllers(
    name: str, call: Call, guards: tuple[Guard, ...], twin: Call | None, twin_by: str = CONTROLLER
) -> Attack:
    return Attack(name=f"the controller {name}", by=CONTROLLER, call=call, guards=guards, twin=twin, twin_by=twin_by)


def on_autoscaler(name: str, body: dict[str, Any], guard: Guard, what: str = "hpa/steady") -> Attack:
    """The controller may patch autoscalers, but not so."""
    return controllers(name, patch(what, body, STAGE), (guard,), RAISE)


def on_scale(name: str, what: str, replicas: int, guard: Guard, allowed: str) -> Attack:
    """The controller may write the scale, but not so; the twin is a step up of the workload `allowed`."""
    call = patch(what, {"spec": {"replicas": replicas}}, STAGE, part="scale")
    return controllers(name, call, (guard,), patch(allowed, {"spec": {"replicas": 3}}, STAGE, part="scale"))


def annotated(key: str, value: str | None) -> dict[str, Any]:
    return {"metadata": {"annotations": {key: value}}}


BY_THE_CONTROLLER = (
    on_autoscaler("raises a maximum", {"spec": {"maxReplicas": 50}}, HPA_SPEC),
    on_autoscaler("raises a maximum in the old version of the API", {"spec": {"maxReplicas": 50}}, HPA_SPEC,
                  "horizontalpodautoscalers.v1.autoscaling/steady"),
    on_autoscaler("changes metrics", {"spec": {"metrics": [{"type": "Resource", "resource": {
        "name": "memory", "target": {"type": "Utilization", "averageUtilization": 1}}}]}}, HPA_SPEC),
    on_autoscaler("changes the behaviour", {"spec": {"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}},
                  HPA_SPEC),
    on_autoscaler("turns an autoscaler to another workload", {"spec": {"scaleTargetRef": {"name": "asleep"}}},
                  HPA_SPEC),
    on_autoscaler("relabels an autoscaler", LABEL, HPA_METADATA),
    on_autoscaler("hangs an autoscaler on an owner", {"metadata": OWNER}, HPA_METADATA),
    on_autoscaler("holds an autoscaler by a finalizer", {"metadata": FINALIZER}, HPA_METADATA),
    on_autoscaler("adds a foreign annotation", annotated("example.com/mine", "yes"), HPA_ANNOTATIONS),
    on_autoscaler("changes a foreign annotation", annotated("example.com/theirs", "no"), HPA_ANNOTATIONS),
    on_autoscaler("removes a foreign annotation", annotated("example.com/theirs", None), HPA_ANNOTATIONS),
    on_scale("scales down", "deployment/steady", 1, SCALE_UP, "deployment/steady"),
    on_scale("scales to nothing", "deployment/steady", 0, SCALE_UP, "deployment/steady"),
    on_scale("scales a statefulset down", "statefulset/steady", 1, SCALE_UP, "statefulset/steady"),
    on_scale("wakes a workload that is switched off", "deployment/asleep", 1, SCALE_FROM_ZERO, "deployment/steady"),
    controllers("writes a workload's replicas", patch("deployment/steady", {"spec": {"replicas": 3}}, STAGE),
                (apps("patch", "deployments", STAGE),), None, PERSON),
    controllers("deletes an autoscaler", delete("hpa/steady", STAGE), (autoscalers("delete", STAGE),), None, PERSON),
    controllers("reads autoscalers elsewhere", read("get", "hpa", "-n", "default"), (autoscalers("list", "default"),),
                None, PERSON),
    controllers("writes records elsewhere", create(record(), "default"), (records("create", "default"),), GOOD_RECORD),
    controllers("asks for a lease", create(lease("new", requestedBy=CONTROLLER_USER), STAGE), (leases("create"),),
                GOOD_LEASE, ASSISTANT),
    controllers("ends a lease", OWN_END, (leases("patch"), LEASE_CHANGER), OWN_END, ASSISTANT),
    controllers("widens a policy", patch(OUR_POLICY, {"spec": {"maxReplicas": 500}}), (policies("patch"),), None,
                PERSON),
    controllers("reads secrets", read("get", "secrets", "-n", HOME), (core("list", "secrets"),), None, PERSON),
    controllers("lists pods", read("get", "pods", "-n", HOME), (core("list", "pods"),), None, PERSON),
    controllers("takes the assistant's token", read("create", "token", "claudescale-sa", "-n", HOME),
                (core("create", "serviceaccounts/token"),), None, PERSON),
    controllers("rewrites a record", patch(FIRST, OTHER_PAYLOAD, STAGE), (records("patch"), SAME_RECORD,
                RECORD_STAYS_AS_IT_IS),
                FIRST_READ),
    controllers("deletes a record", delete(FIRST, STAGE), (records("delete"), RECORD_STAYS), None, CLEANER),
    controllers("writes a record with an owner", create(record(metadata=OWNER), STAGE), (RECORD_ALONE,), GOOD_RECORD),
    controllers("writes a record with a finalizer", create(record(metadata=FINALIZER), STAGE), (RECORD_ALONE,),
                GOOD_RECORD),
    controllers("writes a record under another number", create(record("record-0000000002"), STAGE), (RECORD_NAME,),
                GOOD_RECORD),
    controllers("writes a record under a short name", create(record("record-1"), STAGE), (RECORD_NAME,), GOOD_RECORD),
)  # fmt: skip

ATTACKS = (*ON_WORKLOADS, *ON_THE_CLUSTER, *ON_POLICIES, *ON_LEASES, *ON_RECORDS, *BY_THE_CONTROLLER)
