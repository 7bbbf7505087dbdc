#!/usr/bin/python
# Copyright (c) 2026 ClaudeScale contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: load_scenario
short_description: Send load to the demo app once, and tell what came of it
version_added: 0.1.0
author:
  - ClaudeScale contributors (@claudescale)
description:
  - Sends requests to the demo app from inside the cluster, by a Job C(load-NAME) with vegeta, at an open arrival rate -
    a request is sent when it is due, whether or not earlier ones were answered.
  - The load has an identity, O(name). A second run with the same options changes nothing and reports the result of the
    first one. Its Job is kept until O(state=absent).
  - One load runs at a time.
requirements:
  - Python >= 3.11
  - kubernetes >= 37.0.2, the Python package
  - PyYAML
notes:
  - A request counts from when it was due. One that the generator could not send within 0.5 seconds of that has failed.
  - The load ends by its plan, whatever happens to who started it. A task that is interrupted while it waits for a load
    that it started itself ends and removes that load.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Can run in check mode and tell what would change without changing anything.
    support: full
    details:
      - What would be refused fails in check mode as well.
      - Where the cluster does not exist yet, a warning says that the load would be started.
  diff_mode:
    description: Returns what changed, or in check mode would change.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
    details:
      - Other options under the same name are refused, with the remedy.
      - To send the same load again, use another name, or remove the first one with O(state=absent).
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
      - V(present) wants the load's result - it is sent where it was not yet.
      - V(started) wants the load to have begun.
      - V(absent) stops the load and removes it with its result.
    type: str
    choices: [present, started, absent]
    default: present
  name:
    description: Name of the load, 1 to 50 lower-case letters, digits and hyphens.
    type: str
    required: true
  namespace:
    description: Namespace of the demo app.
    type: str
    default: claudescale
  profile:
    description:
      - The shape of the load.
      - V(steady) is one rate all the time, V(ramp) ten even steps up to it, V(step) four even steps up to it, V(spike)
        a quarter of it, the rate, and a quarter again.
      - V(launch) is an announced launch - a quarter of the rate for a third of the time, then at once the rate.
      - V(stress-until-scale) goes from half the rate up to double, and ends when the autoscaler has been at its maximum
        for 15 seconds, where a task waits for its result. Otherwise it lasts as long as it may.
      - Anything else is refused with the list.
    type: str
    default: steady
  rate:
    description: Requests per second, V(1) to V(500). The profile's own by default.
    type: int
  duration:
    description: Seconds, V(10) to V(1800). The profile's own by default.
    type: int
  objective_ms:
    description:
      - A good answer that took longer than so many milliseconds counts as slow.
      - It changes the figures and not the load, and may differ from run to run.
    type: int
    default: 500
  wait:
    description:
      - Whether to wait for what O(state) wants - the result, the beginning, or that the load's pod is gone.
      - With V(false), O(state=present) reports the result where it is there already. O(state=absent) always waits.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Send a ramp, and wait for its result
  claudescale.core.load_scenario:
    context: claudescale
    name: evening-ramp
    profile: ramp
    rate: 60
    duration: 200
  register: ramp

- name: Say how many were slow or failed
  ansible.builtin.debug:
    msg: "{{ (100 * ramp.figures.share) | round(2) }} % of {{ ramp.figures.planned }}"

- name: Begin an announced launch, and do other things meanwhile
  claudescale.core.load_scenario:
    name: spring-sale
    profile: launch
    rate: 80
    duration: 180
    state: started

- name: Later, see what came of it; fail where too many were slow
  claudescale.core.load_scenario:
    name: spring-sale
    profile: launch
    rate: 80
    duration: 180
    objective_ms: 250
  register: launch
  failed_when: launch.failed or launch.figures.share > 0.005

- name: Remove it with its result
  claudescale.core.load_scenario:
    name: spring-sale
    state: absent
"""

RETURN = r"""
msg:
  description: What came of it, in one sentence for people.
  returned: always
  type: str
  sample: >-
    load evening: 2400 requests in 120 s, 2399 ok, 1 failed (0 could not be sent in time), 0.04 % slower than 500 ms or
    failed, p99 143 ms
job:
  description: The name of the load's Job.
  returned: when the options name a load
  type: str
  sample: load-evening
phase:
  description: Absent, Running (or about to), Finished or Failed.
  returned: when the options name a load
  type: str
  sample: Finished
complete:
  description:
    - Whether RV(figures) hold the whole load. Where they do not, the task fails and RV(msg) says until when there is
      news.
  returned: when the options name a load
  type: bool
  sample: true
plan:
  description: What is sent. V(none) where there is no load of this name.
  returned: when the options name a load
  type: dict
  contains:
    profile:
      description: The profile.
      type: str
    segments:
      description: The rate in requests per second and the seconds of each part.
      type: list
      elements: dict
    requests:
      description: How many requests are due in all.
      type: int
    seconds:
      description: How long it lasts at most.
      type: int
  sample:
    profile: steady
    segments: [{rate: 20, seconds: 120}]
    requests: 2400
    seconds: 120
figures:
  description:
    - What every request's time comes to. V(none) before the load is over.
  returned: when the options name a load
  type: dict
  contains:
    planned:
      description: Requests that were due.
      type: int
    sent:
      description: Requests that were sent in time.
      type: int
    ok:
      description: Requests with a good answer, whose code is 200 to 399.
      type: int
    failed:
      description: The others, RV(figures.unsent) included.
      type: int
    unsent:
      description: Requests that could not be sent in time.
      type: int
    slow:
      description: Good answers that took longer than O(objective_ms).
      type: int
    share:
      description: RV(figures.slow) and RV(figures.failed) together, of RV(figures.planned), from 0 to 1.
      type: float
    p50_ms:
      description: Half of the good answers took at most so long, from when the request was due.
      type: float
    p95_ms:
      description: The same for 95 of 100.
      type: float
    p99_ms:
      description: The same for 99 of 100.
      type: float
    max_ms:
      description: The longest good answer.
      type: float
  sample:
    planned: 2400
    sent: 2400
    ok: 2399
    failed: 1
    unsent: 0
    slow: 0
    share: 0.0004166666666666667
    p50_ms: 9.6
    p95_ms: 38.2
    p99_ms: 143.1
    max_ms: 351.0
vegeta:
  description:
    - What C(vegeta report) says of the same requests. It counts from when a request was really sent, and its latencies
      are those of failed requests, too.
    - V(none) before the load is over.
  returned: when the options name a load
  type: dict
  sample: {"requests": 2400, "success": 0.9995833, "p50_ms": 9.1, "p95_ms": 37.5, "p99_ms": 142.0, "max_ms": 350.2}
errors:
  description: How many requests failed by which error, as vegeta says it. V(none) before the load is over.
  returned: when the options name a load
  type: dict
  sample: {"503 Service Unavailable": 1}
began:
  description: When the load began, in seconds since 1970. V(none) before the load is over.
  returned: when the options name a load
  type: float
  sample: 1772395200.125
seconds:
  description: For how many seconds of the load there is news.
  returned: when the options name a load
  type: int
  sample: 120
diff:
  description: The load's plan before and after.
  returned: when the options name a load
  type: dict
  sample: {"before": {}, "after": {"profile": "steady", "segments": [{"rate": 20, "seconds": 120}]}}
"""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.claudescale.core.plugins.module_utils import kubernetes_core
from ansible_collections.claudescale.core.plugins.module_utils.cluster import configurations
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient, ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LoadPlan, LoadRefused, make_plan
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Figures
from ansible_collections.claudescale.core.plugins.module_utils.load.scenario import (
    Incomplete,
    Phase,
    Scenario,
    Told,
    check_name,
    remove,
)

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "started", "absent"], "default": "present"},
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "claudescale"},
    "profile": {"type": "str", "default": "steady"},
    "rate": {"type": "int"},
    "duration": {"type": "int"},
    "objective_ms": {"type": "int", "default": 500},
    "wait": {"type": "bool", "default": True},
}


class Interrupted(Exception):  # noqa: N818 - a signal, no error
    """Somebody wants this task to end."""


def perform(parameters: Mapping[str, Any], connect: Callable[[], ClusterClient], *, check: bool) -> dict[str, Any]:
    """Do what the parameters say; the module's result, with `failed` and `warnings`."""
    name = check_name(parameters["name"])
    if parameters["state"] == "absent":
        return _remove(name, connect, check=check)
    plan = make_plan(parameters["profile"], rate=parameters["rate"], seconds=parameters["duration"])
    if parameters["objective_ms"] < 1:
        raise LoadRefused(f"objective_ms is {parameters['objective_ms']}: give 1 or more milliseconds")
    try:
        scenario = Scenario(connect(), name, plan, parameters["objective_ms"] / 1000)
        if check:
            told = scenario.foretold()
            return _seen(scenario, told, result=parameters["state"] == "present" and told.phase is Phase.FINISHED)
    except ClusterStopped as stopped:
        if not check:
            raise
        message = f"would start load {name}: {stopped}"
        return {**result_of(Told(phase=Phase.ABSENT, message=message, changed=True, plan=plan)), "warnings": [message]}
    return _send(parameters, scenario)


def _remove(name: str, connect: Callable[[], ClusterClient], *, check: bool) -> dict[str, Any]:
    try:
        told = remove(connect(), name, dry_run=check)
    except ClusterStopped as stopped:
        if not check:
            raise
        told = Told(phase=Phase.ABSENT, message=f"there is no load {name} to remove: {stopped}")
    result = result_of(told)
    return {**result, "diff": {"before": result["diff"]["after"], "after": {}}}


def _send(parameters: Mapping[str, Any], scenario: Scenario) -> dict[str, Any]:
    """The result once the load has come as far as is to be waited for; whoever is interrupted leaves nothing behind."""
    try:
        with _signals():
            told = scenario.start()
            if parameters["state"] == "present":
                return _seen(scenario, told, result=parameters["wait"] or told.phase is Phase.FINISHED)
            if parameters["wait"] and told.phase is Phase.RUNNING:
                scenario.begun()
            return _seen(scenario, told, result=False)
    except Interrupted:
        if not scenario.run.created:
            raise ClaudeScaleError(f"interrupted; load {scenario.name} was there before, and is as it was") from None
        scenario.run.stop()
        raise ClaudeScaleError(f"interrupted: load {scenario.name} is ended and removed") from None


def _seen(scenario: Scenario, told: Told, *, result: bool) -> dict[str, Any]:
    """The module's result of what stands, with the load's own one where it is wanted."""
    remedy = f"state absent removes load {scenario.name}"
    if not result:
        failed = told.phase is Phase.FAILED
        message = f"{told.message}: {remedy}" if failed else told.message
        return {**result_of(replace(told, message=message)), "failed": failed}
    try:
        told = scenario.result(changed=told.changed)
    except Incomplete as incomplete:
        told = replace(incomplete.told, message=f"{incomplete} ({remedy})")
    except ClaudeScaleError as error:
        told = replace(told, phase=Phase.FAILED, message=f"{error} ({remedy})")
    return {**result_of(told), "failed": not told.complete}


def result_of(told: Told) -> dict[str, Any]:
    """The module's result of what there is to tell."""
    summary = told.summary or {}
    plan = _plan(told.plan) if told.plan else None
    return {
        "changed": told.changed,
        "failed": False,
        "msg": told.message,
        "job": told.job,
        "phase": str(told.phase),
        "complete": told.complete,
        "plan": plan,
        "figures": _figures(told.figures) if told.figures else None,
        "vegeta": summary.get("vegeta"),
        "errors": summary.get("errors"),
        "began": summary.get("began"),
        "seconds": told.seconds,
        "diff": {"before": {}, "after": plan if told.changed and plan else {}},
        "warnings": [],
    }


def _plan(plan: LoadPlan) -> dict[str, Any]:
    segments = [asdict(segment) for segment in plan.segments]
    return {"profile": plan.profile, "segments": segments, "requests": plan.requests, "seconds": plan.seconds}


def _figures(figures: Figures) -> dict[str, Any]:
    found = asdict(figures)
    for name in ("p50", "p95", "p99", "max"):
        seconds = found.pop(name)
        found[f"{name}_ms"] = None if seconds is None else round(seconds * 1000, 1)
    return found


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGINT raise Interrupted meanwhile."""

    def interrupt(*_signal: Any) -> None:
        raise Interrupted

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Parse, send, translate."""
    module = AnsibleModule(argument_spec={**kubernetes_core.AUTH_ARG_SPEC, **ARGUMENTS}, supports_check_mode=True)
    if kubernetes_core.MISSING is not None:
        module.fail_json(msg=kubernetes_core.HOW_TO_GET, exception=kubernetes_core.MISSING)
    if configurations.MISSING:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=configurations.MISSING)
    try:
        result = perform(module.params, lambda: kubernetes_core.client_from(module), check=module.check_mode)
    except ClaudeScaleError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    (module.fail_json if result.pop("failed") else module.exit_json)(**result)


if __name__ == "__main__":
    main()
