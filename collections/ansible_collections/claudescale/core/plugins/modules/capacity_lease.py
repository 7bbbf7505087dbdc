#!/usr/bin/python
# Copyright (c) 2026 ClaudeScale contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: capacity_lease
short_description: Ask for replicas of a workload for a time, or end that early
version_added: 0.1.0
author:
  - ClaudeScale contributors (@claudescale)
description:
  - Asks for at least so many replicas of a Deployment or StatefulSet from a start to an end, by creating a
    C(CapacityLease). This module never writes a scale itself.
  - The workload's C(ScalingPolicy) decides, and the controller answers - it raises the autoscaler's C(minReplicas)
    while the lease is active, restores it exactly afterwards, and records both.
  - A lease ends by itself. O(state=ended) is only needed to end it before its time.
  - A lease never changes. For more replicas or a later end, ask for another lease under another name - the highest of
    them counts.
requirements:
  - Python >= 3.11
  - kubernetes >= 37.0.2, the Python package
  - PyYAML
notes:
  - Write times in quotes and with their zone, as in V("2026-03-01T20:00:00Z") or V("2026-03-01T21:00:00+01:00"). A time
    without zone is refused.
  - While the controller is away, nothing is lost - the lease waits in the API server. The answer is then a preview by
    the same rules, RV(preview) is V(true), and a warning says so.
  - The lease says that it came from C(claudescale-ansible), and who asked is the user that the API server knows by the
    credentials given here.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Can run in check mode and tell what would change without changing anything.
    support: full
    details:
      - The request goes to the API server as a dry run, so that its admission speaks, and is then decided by the same
        rules as the controller's, with what the cluster shows now. What would be refused fails in check mode as well.
      - Where the cluster, its kinds or the namespace does not exist yet, a warning says that the lease would be
        created.
      - O(wait) is not heeded.
  diff_mode:
    description: Returns what changed, or in check mode would change.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: partial
    details:
      - The same content again is unchanged as long as its lease is pending, active, observed or refused. Once it has
        ended, the name is taken until the lease is deleted (after 15 minutes by default), and another run is refused
        with the remedy, because it may be meant as a repetition or as another lease.
      - O(state=ended) is always idempotent - what is over, or is not there, is unchanged.
  action_group:
    description: Use C(group/claudescale.core.claudescale) in C(module_defaults).
    support: full
    membership: [claudescale.core.claudescale]
  platform:
    description: Where it runs.
    support: full
    platforms: posix
options:
  state:
    description:
      - V(present) asks for the lease. O(workload), O(replicas) and O(reason) are required then.
      - V(ended) ends it before its time. That is for the one who asked, and for those who have the RBAC verb C(end) on
        C(capacityleases).
    type: str
    choices: [present, ended]
    default: present
  name:
    description:
      - Name of the lease, which is its identity as long as it exists.
      - 1 to 63 lower-case letters, digits and hyphens.
    type: str
    required: true
  namespace:
    description: Namespace of the lease and its workload.
    type: str
    default: claudescale
  workload:
    description:
      - The workload by its name, V(demo-app), or by kind and name, V(deployment/demo-app) or V(statefulset/db).
      - Without a kind it is a Deployment.
    type: str
  replicas:
    description: At least so many replicas, V(1) to V(10000). The autoscaler may run more.
    type: int
  start_time:
    description:
      - When the capacity is needed, as an RFC 3339 time with its zone.
      - Now, where it is absent or has passed.
    type: str
  end_time:
    description:
      - When it is needed no more, as an RFC 3339 time with its zone.
      - Where neither this nor O(duration_seconds) is given, the policy's default duration counts.
      - Mutually exclusive with O(duration_seconds).
    type: str
  duration_seconds:
    description:
      - How many seconds it is needed, from its start on.
      - Mutually exclusive with O(end_time).
    type: int
  reason:
    description: Why, in one line of at most 512 characters for people to read afterwards. It is recorded.
    type: str
  on_behalf_of:
    description: The person or system for which it is asked. It is recorded as a claim that nobody checks.
    type: str
  fail_on_refusal:
    description:
      - Whether a refusal by policy fails.
      - With V(false) it is a result like any other, and RV(code) or RV(decision.allowed) tells it.
      - What cannot be a lease at all fails in any case, whatever policy says.
    type: bool
    default: true
  wait:
    description:
      - Whether to wait, beyond the few seconds that the controller's decision takes.
      - Where the policy's mode is C(Observe), nothing is raised, and there is nothing to wait for - a warning says so.
    type: bool
    default: false
  wait_phase:
    description:
      - The phase that the lease must have come to. V(Pending) is accepted, V(Active) has begun, V(Ended) is over.
      - By default, O(state=present) waits until the floor stands, O(state=ended) until the lease is over.
    type: str
    choices: [Pending, Active, Ended]
  wait_timeout:
    description: How many seconds to wait at most. It is a failure when they are over; the lease stays as it is.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Have four replicas for the next 90 seconds
  claudescale.core.capacity_lease:
    context: claudescale
    name: friday-launch
    workload: demo-app
    replicas: 4
    duration_seconds: 90
    reason: Launch of the spring sale

- name: Have them from 19:55 to 21:00 in Berlin, whoever runs this playbook
  claudescale.core.capacity_lease:
    name: spring-sale
    workload: deployment/demo-app
    replicas: 4
    start_time: "2026-03-01T19:55:00+01:00"
    end_time: "2026-03-01T21:00:00+01:00"
    reason: Launch of the spring sale
    on_behalf_of: marketing

- name: Go on only when the floor stands
  claudescale.core.capacity_lease:
    name: nightly-batch
    workload: statefulset/queue
    replicas: 3
    duration_seconds: 3600
    reason: Nightly batch
    wait: true
    wait_timeout: 30

- name: Ask, and go on without it where policy refuses
  claudescale.core.capacity_lease:
    name: nice-to-have
    workload: demo-app
    replicas: 500
    reason: Load test
    fail_on_refusal: false
  register: asked

- name: Say what policy said
  ansible.builtin.debug:
    msg: "{{ asked.decision.rules | rejectattr('passed') | map(attribute='message') | list }}"
  when: not asked.decision.allowed

- name: End it before its time, and wait until what people configured stands again
  claudescale.core.capacity_lease:
    name: friday-launch
    state: ended
    wait: true
"""

RETURN = r"""
msg:
  description: What came of it, in one sentence for people.
  returned: always
  type: str
  sample: "lease friday-launch: the floor of demo-app-hpa stands at 4 until 2026-03-01T20:01:30.000000Z"
lease:
  description:
    - The C(CapacityLease) as it is now, without C(managedFields).
    - In check mode it is what would be created. V(none) where there is none.
  returned: always, unless the options or the API server leave no lease to speak of
  type: dict
  sample:
    apiVersion: claudescale.io/v1alpha1
    kind: CapacityLease
    metadata: {name: friday-launch, namespace: claudescale}
    spec:
      workloadRef: {apiVersion: apps/v1, kind: Deployment, name: demo-app}
      replicas: 4
      durationSeconds: 90
      reason: Launch of the spring sale
      requestedBy: minikube-user
phase:
  description:
    - Pending, Active, Observed, Ended, Refused or Failed.
    - V(none) where the controller has not answered, and in check mode for a lease that is not there yet.
  returned: when RV(lease) is
  type: str
  sample: Active
code:
  description:
    - The decision in one word, the code of the first rule that refused where one did.
    - V(none) where nobody could decide. V(BadRequest) where the options cannot be a lease at all.
  returned: when RV(lease) is, and for what cannot be a lease
  type: str
  sample: Allowed
decision:
  description:
    - What policy says, with every rule that spoke and the numbers that it compared.
    - V(none) where nobody could decide.
  returned: when RV(lease) is
  type: dict
  contains:
    allowed:
      description: Whether the lease is allowed.
      type: bool
    code:
      description: The decision in one word.
      type: str
    message:
      description: The decision in one sentence.
      type: str
    time:
      description: When it was decided.
      type: str
    rules:
      description: Each rule with RV(ignore:rule), RV(ignore:passed), RV(ignore:code), RV(ignore:message), and what was
        RV(ignore:asked) and the RV(ignore:limit) where it compared numbers.
      type: list
      elements: dict
  sample:
    allowed: false
    code: AbovePolicyMaximum
    message: "replicas by policy: 500 asked, 5 at most"
    time: "2026-03-01T20:00:00.000000Z"
    rules:
      - rule: Maximum
        passed: false
        code: AbovePolicyMaximum
        message: "replicas by policy: 500 asked, 5 at most"
        asked: 500
        limit: 5
preview:
  description:
    - Whether the decision is this module's own, by the same rules, because nothing was to be created or the controller
      has not answered.
  returned: when RV(lease) is
  type: bool
  sample: false
floor:
  description: The autoscaler's C(minReplicas) before, during and after the lease; V(none) before it was raised.
  returned: when RV(lease) is
  type: dict
  sample: {"before": 2, "applied": 4}
record:
  description:
    - Sequence and hash of the last record that speaks of the lease, V(none) before there is one.
    - Keep it, and nobody can rewrite what was recorded before it unnoticed.
  returned: when RV(lease) is
  type: str
  sample: "17:7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"
diff:
  description: The fields of the lease's C(spec) that changed, before and after.
  returned: when RV(lease) is
  type: dict
  sample: {"before": {"ended": false}, "after": {"ended": true}}
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.claudescale.core.plugins.module_utils import kubernetes_core
from ansible_collections.claudescale.core.plugins.module_utils.asking.door import (
    Answer,
    Door,
    NoLease,
    floor_stands,
    is_over,
    phase_of,
    record_of,
)
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import NotInstalled
from ansible_collections.claudescale.core.plugins.module_utils.asking.wish import (
    BadRequest,
    Wish,
    check_name,
    check_namespace,
    lease_object,
    parse_workload,
)
from ansible_collections.claudescale.core.plugins.module_utils.cluster import configurations
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Phase

DOOR = "claudescale-ansible"
WAIT_PHASES = ("Pending", "Active", "Ended")
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "ended"], "default": "present"},
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "claudescale"},
    "workload": {"type": "str"},
    "replicas": {"type": "int"},
    "start_time": {"type": "str"},
    "end_time": {"type": "str"},
    "duration_seconds": {"type": "int"},
    "reason": {"type": "str"},
    "on_behalf_of": {"type": "str"},
    "fail_on_refusal": {"type": "bool", "default": True},
    "wait": {"type": "bool", "default": False},
    "wait_phase": {"type": "str", "choices": list(WAIT_PHASES)},
    "wait_timeout": {"type": "int", "default": 120},
}
RULES: dict[str, Any] = {
    "required_if": [("state", "present", ("workload", "replicas", "reason"))],
    "mutually_exclusive": [("end_time", "duration_seconds")],
}


def wish_from(parameters: Mapping[str, Any]) -> Wish:
    """What is asked for; BadRequest where the parameters make no lease."""
    return Wish(
        name=parameters["name"],
        workload=parse_workload(parameters["workload"]),
        replicas=parameters["replicas"],
        reason=parameters["reason"],
        start=parameters["start_time"],
        end=parameters["end_time"],
        seconds=parameters["duration_seconds"],
        on_behalf_of=parameters["on_behalf_of"],
    )


def perform(parameters: Mapping[str, Any], open_door: Callable[[], Door], *, check: bool) -> dict[str, Any]:
    """Do what the parameters say; the module's result, with `failed` and `warnings`."""
    check_namespace(parameters["namespace"])
    if parameters["wait_timeout"] < 0:
        raise BadRequest(f"wait_timeout is {parameters['wait_timeout']}: give 0 or more seconds")
    if parameters["state"] == "ended":
        return _end(parameters, open_door, check=check)
    return _ask(parameters, open_door, check=check)


def _ask(parameters: Mapping[str, Any], open_door: Callable[[], Door], *, check: bool) -> dict[str, Any]:
    wish = wish_from(parameters)
    try:
        door = open_door()
        answer = door.ask(wish, dry_run=check)
    except (NotInstalled, ClusterStopped) as missing:
        if not check:
            raise
        return _would_create(parameters, wish, str(missing))
    if answer.refused and parameters["fail_on_refusal"]:
        return {**result_of(answer), "failed": True}
    if parameters["wait"] and not check and not answer.refused:
        return _waited(parameters, door, answer)
    # Ansible shows a task's sentence only where it fails.
    return {**result_of(answer), "warnings": [answer.message] if answer.preview and not check else []}


def result_of(answer: Answer) -> dict[str, Any]:
    """The module's result of an answer."""
    decision = answer.decision
    return {
        "changed": answer.changed,
        "failed": False,
        "msg": answer.message,
        "lease": _shown(answer.lease),
        "phase": answer.phase,
        "code": decision["code"] if decision is not None else None,
        "decision": decision,
        "preview": answer.preview,
        "floor": answer.status.get("floor"),
        "record": record_of(answer.lease),
        "diff": {
            "before": {name: before for name, before, after in answer.changes if before is not None},
            "after": {name: after for name, before, after in answer.changes if after is not None},
        },
        "warnings": [],
    }


def _end(parameters: Mapping[str, Any], open_door: Callable[[], Door], *, check: bool) -> dict[str, Any]:
    name = check_name(parameters["name"])
    try:
        door = open_door()
        answer = door.end(name, dry_run=check)
    except NoLease:
        namespace = parameters["namespace"]
        return _nothing(f"there is no lease {name} in namespace {namespace}: what has ended is deleted after a while")
    except (NotInstalled, ClusterStopped) as missing:
        if not check:
            raise
        return _nothing(f"there is no lease {name} to end: {missing}")
    if parameters["wait"] and not check:
        return _waited(parameters, door, answer)
    unanswered = answer.changed and not check and not answer.over
    return {**result_of(answer), "warnings": [answer.message] if unanswered else []}


def _waited(parameters: Mapping[str, Any], door: Door, answer: Answer) -> dict[str, Any]:
    """The result once the lease has come as far as is to be waited for."""
    until, aim = _aim(parameters)
    seconds = parameters["wait_timeout"]
    name = parameters["name"]
    followed = door.follow(answer, lambda lease: is_over(lease) or until(lease), seconds)
    if followed is None:
        gone = f"lease {name} was deleted while it was waited for"
        return {**result_of(answer), "failed": parameters["state"] == "present", "msg": gone}
    result = result_of(followed)
    if until(followed.lease):
        return result
    if parameters["state"] == "present" and followed.phase == Phase.OBSERVED:
        return {**result, "warnings": [followed.message]}
    if parameters["state"] == "present" and followed.phase == Phase.REFUSED:  # it is decided again at its start
        return {**result, "failed": parameters["fail_on_refusal"]}
    if followed.over:
        return {**result, "failed": True}
    return {**result, "failed": True, "msg": f"{aim} did not come within {seconds} s: {followed.message}"}


def _aim(parameters: Mapping[str, Any]) -> tuple[Callable[[Mapping[str, Any]], bool], str]:
    """(whether a lease has come as far as is to be waited for, what that is in words)."""
    wanted = parameters["wait_phase"] or ("Ended" if parameters["state"] == "ended" else None)
    if wanted is None:
        return floor_stands, f"the floor of lease {parameters['name']}"
    if wanted == "Ended" and parameters["state"] == "ended":
        return is_over, f"the end of lease {parameters['name']}"
    beyond = WAIT_PHASES[WAIT_PHASES.index(wanted) :]
    return lambda lease: phase_of(lease) in beyond, f"phase {wanted} of lease {parameters['name']}"


def _would_create(parameters: Mapping[str, Any], wish: Wish, why: str) -> dict[str, Any]:
    """What check mode says where the cluster, the kinds or the namespace are still to come."""
    spec = wish.spec("", None)
    del spec["requestedBy"]  # known only once the API server answers
    if wish.end is None and wish.seconds is None:
        del spec["durationSeconds"]  # the policy's, which is still to come
    message = f"would create lease {wish.name}, which cannot be decided yet: {why}"
    return {
        **_nothing(message),
        "changed": True,
        "lease": lease_object(wish.name, parameters["namespace"], spec),
        "preview": True,
        "diff": {"before": {}, "after": spec},
        "warnings": [message],
    }


def _nothing(message: str) -> dict[str, Any]:
    names = ("lease", "phase", "code", "decision", "floor", "record")
    return {
        **dict.fromkeys(names),
        "changed": False,
        "failed": False,
        "msg": message,
        "preview": False,
        "diff": {"before": {}, "after": {}},
        "warnings": [],
    }


def _shown(lease: Mapping[str, Any]) -> dict[str, Any]:
    meta = {name: value for name, value in lease["metadata"].items() if name != "managedFields"}
    return {**lease, "metadata": meta}


def main() -> None:
    """Parse, ask, translate."""
    module = AnsibleModule(
        argument_spec={**kubernetes_core.AUTH_ARG_SPEC, **ARGUMENTS}, supports_check_mode=True, **RULES
    )
    if kubernetes_core.MISSING is not None:
        module.fail_json(msg=kubernetes_core.HOW_TO_GET, exception=kubernetes_core.MISSING)
    if configurations.MISSING:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=configurations.MISSING)
    try:
        result = perform(
            module.params, lambda: Door(kubernetes_core.client_from(module), DOOR), check=module.check_mode
        )
    except (BadRequest, kubernetes_core.BadOption) as error:
        module.fail_json(msg=str(error), code="BadRequest")
    except ClaudeScaleError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    (module.fail_json if result.pop("failed") else module.exit_json)(**result)


if __name__ == "__main__":
    main()
