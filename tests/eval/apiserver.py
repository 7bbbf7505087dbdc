"""An API server in memory behind real HTTP, and the real controller's passes over it, for trying the transcripts out.

It keeps what they rely on: resourceVersions and preconditions, the owners of fields, rights by the collection's own
lists, impersonation, what the admission policies and CRDs say of leases and records, and dry runs.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.controller import reconcile
from ansible_collections.claudescale.core.plugins.module_utils.controller.journal import Overtaken
from ansible_collections.claudescale.core.plugins.module_utils.controller.metrics import Metrics
from ansible_collections.claudescale.core.plugins.module_utils.controller.space import Space
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_mcp.link import Place
from prometheus_client import CollectorRegistry

from tests.engine.http_double import Asked, HttpDouble, Reply, a_status, http_double
from tests.eval.stage import Stage
from tests.support import ROOT

PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?:/(?P<plural>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<part>[^/]+))?)?)?)?"
)
PERSON = "minikube-user"
ROLES = ROOT / "collections/ansible_collections/claudescale/core/roles"
CONTROLLER = "system:serviceaccount:claudescale:claudescale-controller"
LOOK_SECONDS = 0.03
TTL_SECONDS = 900.0
LIMITS = {"maxDurationSeconds": 14400, "defaultDurationSeconds": 1800, "maxLeadSeconds": 604800, "maxConcurrent": 10}


class Refused(Exception):  # noqa: N818
    """An answer that is none of 2xx."""

    def __init__(self, code: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reply = Reply(status=code, body=a_status(code, reason, message))


@dataclass(frozen=True, kw_only=True)
class Where:
    """A path, taken apart."""

    group: str
    namespace: str
    plural: str
    name: str
    part: str

    @property
    def list(self) -> tuple[str, str, str]:
        return self.group, self.namespace, self.plural


@dataclass
class ApiServer:
    """Its objects by (group, namespace, plural) and name.

    `rights`: RBAC's rules by (user, namespace); the person has all.
    """

    rights: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    objects: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    tokens: dict[str, str] = field(default_factory=lambda: {"person": PERSON})
    count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def script(self, asked: Asked) -> Reply:
        with self.lock:
            try:
                return self._answer(asked)
            except Refused as refused:
                return refused.reply

    def of(self, group: str, namespace: str, plural: str) -> list[dict[str, Any]]:
        with self.lock:
            return deepcopy(list(self.objects.get((group, namespace, plural), {}).values()))

    def _answer(self, asked: Asked) -> Reply:
        if asked.path == "/version":
            return Reply(body={"major": "1"})
        user = self._user(asked)
        if asked.path.endswith("/selfsubjectreviews"):
            return Reply(status=201, body={"status": {"userInfo": {"username": user}}})
        found = PATH.fullmatch(asked.path)
        if found is None:
            raise Refused(404, f"{asked.path} not found", "NotFound")
        where = Where(**{name: found[name] or "" for name in ("group", "namespace", "plural", "name", "part")})
        if not where.plural:
            if where.namespace:
                return Reply(body={"metadata": {"name": where.namespace, "uid": f"uid-of-{where.namespace}"}})
            return Reply(body={"resources": []})
        self._authorize(user, asked, where)
        if where.part == "token":
            token = f"token-{next(self.count)}"
            self.tokens[token] = f"system:serviceaccount:{where.namespace}:{where.name}"
            return Reply(status=201, body={"status": {"token": token}, "spec": {"expirationSeconds": 600}})
        return self._served(user, asked, where)

    def _user(self, asked: Asked) -> str:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        user = self.tokens.get(token)
        if user is None:
            raise Refused(401, "Unauthorized", "Unauthorized")
        other = asked.headers.get("impersonate-user")
        if other and user != PERSON:
            raise Refused(403, f'User "{user}" cannot impersonate', "Forbidden")
        return other or user

    def _authorize(self, user: str, asked: Asked, where: Where) -> None:
        verbs = {"GET": "get" if where.name else "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
        resource = where.plural + (f"/{where.part}" if where.part else "")
        if user == PERSON or any(
            verbs[asked.method] in rule["verbs"]
            and resource in rule["resources"]
            and where.group in rule["apiGroups"]
            and where.name in (rule.get("resourceNames") or [where.name])
            for rule in self.rights.get((user, where.namespace), [])
        ):
            return
        message = f'{where.plural} is forbidden: User "{user}" cannot {verbs[asked.method]} resource "{resource}"'
        raise Refused(403, message, "Forbidden")

    def _served(self, user: str, asked: Asked, where: Where) -> Reply:
        store = self.objects.setdefault(where.list, {})
        if asked.method == "GET" and not where.name:
            return Reply(body={"metadata": {"resourceVersion": str(next(self.count))}, "items": list(store.values())})
        if asked.method == "POST":
            return self._created(user, asked, where, store)
        found = store.get(where.name)
        if found is None:
            raise Refused(404, f'{where.plural} "{where.name}" not found', "NotFound")
        if asked.method == "GET":
            return Reply(body=_scale_of(found) if where.part == "scale" else found)
        if asked.method == "DELETE":
            if where.plural == "scalingrecords":
                raise _denied("claudescale-records", "a record goes only with its namespace")
            _check_identity(found, (asked.body or {}).get("preconditions") or {})
            del store[where.name]
            return Reply(body={"status": "Success"})
        return self._patched(user, asked, where, store, found)

    def _created(self, user: str, asked: Asked, where: Where, store: dict[str, dict[str, Any]]) -> Reply:
        name = asked.body["metadata"]["name"]
        if name in store:
            raise Refused(409, f'{where.plural} "{name}" already exists', "AlreadyExists")
        made = deepcopy(asked.body)
        if where.plural == "scalingpolicies":
            spec = made["spec"]
            made["spec"] = {"minReplicas": 1, "maxStep": {"up": 3}, **spec, "lease": LIMITS | spec.get("lease", {})}
        made["metadata"] |= {
            "namespace": where.namespace,
            "uid": f"uid-{next(self.count)}",
            "generation": 1,
            "creationTimestamp": moments.text(time.time() // 1).replace(".000000Z", "Z"),
        }
        if where.plural == "capacityleases":
            made.pop("status", None)
        self._admit(user, where, None, made)
        return self._stored(asked, where, store, {}, made, code=201)

    def _patched(
        self, user: str, asked: Asked, where: Where, store: dict[str, dict[str, Any]], found: dict[str, Any]
    ) -> Reply:
        if isinstance(asked.body, list):
            made = _json_patched(found, asked.body)
        else:
            _check_identity(found, asked.body.get("metadata") or {})
            if where.part == "scale":
                count = asked.body["spec"]["replicas"]
                made = {**found, "spec": {**found["spec"], "replicas": count}}
            elif where.part == "status":
                made = {**found, "status": _merged(found.get("status") or {}, asked.body["status"])}
            else:
                body = {name: value for name, value in asked.body.items() if name != "status"}
                made = _merged(found, body)
        self._admit(user, where, found, made)
        reply = self._stored(asked, where, store, found, made, code=200)
        return Reply(body=_scale_of(reply.body)) if where.part == "scale" else reply

    def _stored(
        self, asked: Asked, where: Where, store: dict[str, Any], was: dict[str, Any], made: dict[str, Any], code: int
    ) -> Reply:
        made = deepcopy(made)
        if not isinstance(asked.body, list):
            _own(made, was, asked.query.get("fieldManager", "unknown"), where.part)
        if made != was:
            made["metadata"]["resourceVersion"] = str(next(self.count))
        if "dryRun" not in asked.query:
            store[made["metadata"]["name"]] = made
        return Reply(status=code, body=made)

    def _admit(self, user: str, where: Where, was: dict[str, Any] | None, made: dict[str, Any]) -> None:
        """What the API server's own rules, the CRDs and the admission policies say."""
        spec = made.get("spec") or {}
        if where.plural == "horizontalpodautoscalers" and not 1 <= spec.get("minReplicas", 1) <= spec["maxReplicas"]:
            raise Refused(422, "spec.maxReplicas: must be greater than or equal to `minReplicas`", "Invalid")
        if where.plural == "deployments" and not 0 <= spec["replicas"] < 2**31:
            raise Refused(422, "spec.replicas: must be greater than or equal to 0", "Invalid")
        if where.plural == "scalingrecords" and (was is not None or user != CONTROLLER):
            raise _denied("claudescale-records", "only the controller writes records")
        if where.plural == "capacityleases":
            _admit_lease(user, where, was, spec)


def _admit_lease(user: str, where: Where, was: dict[str, Any] | None, spec: dict[str, Any]) -> None:
    if where.part == "status":
        if user != CONTROLLER:
            raise _denied("claudescale-lease-status", "only the controller writes the status of a lease")
    elif was is None:
        if spec["requestedBy"] != user:
            raise _denied("claudescale-lease-requester", f"spec.requestedBy must be who asks: you are {user}")
        if not 1 <= spec["replicas"] <= 10_000 or ("endTime" in spec) == ("durationSeconds" in spec):
            raise Refused(422, "spec is invalid", "Invalid")
    else:
        if user not in (was["spec"]["requestedBy"], PERSON):
            raise _denied("claudescale-lease-end", "only who requested the lease may change it")
        if {**spec, "ended": None} != {**was["spec"], "ended": None} or (
            was["spec"].get("ended") and not spec["ended"]
        ):
            raise Refused(422, "the spec of a lease never changes, except ended", "Invalid")


def _denied(policy: str, says: str) -> Refused:
    message = f"forbidden: ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: {says}"
    return Refused(403, message, "Forbidden")


def _check_identity(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name in ("uid", "resourceVersion"):
        if name in wanted and wanted[name] != found["metadata"].get(name):
            raise Refused(409, f"the object has been modified: {name}", "Conflict")


def _scale_of(found: Mapping[str, Any]) -> dict[str, Any]:
    meta = {name: found["metadata"][name] for name in ("name", "uid", "resourceVersion")}
    return {"metadata": meta, "spec": {"replicas": found["spec"].get("replicas", 1)}}


def _merged(found: Any, body: Any) -> Any:
    """A JSON merge patch."""
    if not isinstance(body, Mapping) or not isinstance(found, Mapping):
        return deepcopy(body)
    made = {**found}
    for name, value in body.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = _merged(found.get(name, {} if isinstance(value, Mapping) else None), value)
    return made


def _json_patched(found: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """A JSON patch of `test` and `remove`."""
    made = deepcopy(found)
    for operation in operations:
        *steps, last = operation["path"].strip("/").split("/")
        holder: Any = made
        for step in steps:
            holder = holder[int(step) if isinstance(holder, list) else step]
        key = int(last) if isinstance(holder, list) else last
        if operation["op"] == "remove":
            del holder[key]
        elif holder[key] != operation["value"]:
            raise Refused(422, f"test of {operation['path']} failed", "Invalid")
    return made


# Owners of fields: those of a spec's first level, and annotations


def _own(made: dict[str, Any], was: Mapping[str, Any], manager: str, part: str) -> None:
    if part == "status":
        return
    changed = {name for name, value in _leaves(made).items() if _leaves(was).get(name) != value}
    gone = set(_leaves(was)) - set(_leaves(made))
    entries = []
    for entry in (was.get("metadata") or {}).get("managedFields") or []:
        owned = set(_owned(entry)) - changed - gone
        if (entry["manager"], entry.get("subresource", "")) == (manager, part):
            owned |= changed
            changed = set()
        if owned:
            entries.append(_entry(entry["manager"], entry.get("subresource", ""), owned))
    if changed:
        entries.append(_entry(manager, part, changed))
    made["metadata"]["managedFields"] = entries


def _leaves(item: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    annotations = (item.get("metadata") or {}).get("annotations") or {}
    found = {("annotation", name): json.dumps(value) for name, value in annotations.items()}
    return found | {("spec", name): json.dumps(value) for name, value in (item.get("spec") or {}).items()}


def _owned(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    fields = entry["fieldsV1"]
    annotations = (fields.get("f:metadata") or {}).get("f:annotations") or {}
    spec = fields.get("f:spec") or {}
    return [("annotation", name[2:]) for name in annotations] + [("spec", name[2:]) for name in spec]


def _entry(manager: str, part: str, owned: set[tuple[str, str]]) -> dict[str, Any]:
    spec: dict[str, Any] = {f"f:{name}": {} for kind, name in sorted(owned) if kind == "spec"}
    annotations: dict[str, Any] = {f"f:{name}": {} for kind, name in sorted(owned) if kind == "annotation"}
    fields = {"f:spec": spec, "f:metadata": {"f:annotations": annotations}}
    more = {"subresource": part} if part else {}
    return {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}


# The controller


class Controllers(threading.Thread):
    """The real controller's passes over these namespaces, again and again; it lists where the real one watches."""

    def __init__(self, server: ApiServer, client: ClusterClient, namespaces: list[str]) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.client = client
        self.metrics = Metrics(CollectorRegistry())
        self.spaces = [Space(client, name, lambda _: None) for name in namespaces]
        self.stopped = threading.Event()
        self.wrong: list[Exception] = []

    def run(self) -> None:
        for space in self.spaces:
            space.journal.load(time.time())
        while not self.stopped.wait(LOOK_SECONDS):
            for space in self.spaces:
                # A defect is kept for the test to find; errors come again.
                try:
                    self._look_after(space)
                except (ClaudeScaleError, Overtaken):
                    continue
                except Exception as error:  # noqa: BLE001
                    self.wrong.append(error)

    def _look_after(self, space: Space) -> None:
        for group, plural, cache in (
            ("claudescale.io", "capacityleases", space.leases),
            ("claudescale.io", "scalingpolicies", space.policies),
            ("autoscaling", "horizontalpodautoscalers", space.autoscalers),
        ):
            cache.replace(self.server.of(group, space.namespace, plural))
        for workload in space.workloads():
            reconcile.Pass(
                client=self.client,
                space=space,
                workload=workload,
                now=time.time,
                metrics=self.metrics,
                told=lambda *_: None,
                pressing=lambda: False,
            ).reconcile()
        reconcile.do_chores(self.client, space, time.time(), TTL_SECONDS, self.metrics)


def _rules(role: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROLES / role / "vars/main.yml").read_text(encoding="utf-8"))[name]
    return found


@contextmanager
def stages(folder: Path, users: tuple[str, ...], secrets: tuple[str, ...], count: int) -> Iterator[list[Stage]]:
    """So many furnished stages in memory; `users` may lease in them. The last secret stands in the kubeconfig."""
    server = ApiServer()
    with http_double(server.script) as http:
        kubeconfig = write_kubeconfig(folder, http, secrets[-1])
        found = []
        for number in range(1, count + 1):
            name, assistant = f"eval-{number}", f"system:serviceaccount:eval-{number}:claudescale-sa"
            server.rights[assistant, name] = _rules("namespace_rbac", "namespace_rbac_in_namespace")
            server.rights[CONTROLLER, name] = _rules("controller", "controller_rights")
            lease = {
                "apiGroups": ["claudescale.io"],
                "resources": ["capacityleases"],
                "verbs": ["create", "get", "patch"],
            }
            for user in users:
                server.rights[user, name] = [lease]
            place = Place(context="claudescale", namespace=name, kubeconfig=str(kubeconfig))
            person = ClusterClient(context="claudescale", namespace=name, kubeconfig=str(kubeconfig))
            found.append(
                Stage(person=person, place=place, elsewhere=f"beside{number}", assistant=assistant, secrets=secrets)
            )
        home = ClusterClient(context="claudescale", namespace="claudescale", kubeconfig=str(kubeconfig))
        controllers = Controllers(server, home.as_account("claudescale-controller"), [one.namespace for one in found])
        controllers.start()
        try:
            for stage in found:
                stage.furnish()
            yield found
        finally:
            controllers.stopped.set()
            controllers.join(timeout=10)
        assert not controllers.wrong, controllers.wrong[0]


def write_kubeconfig(folder: Path, http: HttpDouble, secret: str) -> Path:
    """An administrator's, with one more user whose token is a secret."""
    users = [{"name": "claudescale", "user": {"token": "person"}}, {"name": "other", "user": {"token": secret}}]
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "claudescale", "cluster": {"server": http.address}}],
        "users": users,
        "contexts": [{"name": "claudescale", "context": {"cluster": "claudescale", "user": "claudescale"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
