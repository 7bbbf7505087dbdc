"""The demo's acts of the assistant: the same wish as a lease, and a wish that policy refuses."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER

from claudescale_cli.common import plain, plain_table
from claudescale_cli.demo.course import LEAD, Course, lease_words
from claudescale_cli.demo.stage import Stage, lease_seconds
from claudescale_cli.demo.undo import put_back
from claudescale_cli.live.conditions import ASKED, WORKLOAD, differences, read_autoscaler

SEEN_SECONDS = 8.0  # for a lease that the tool speaks of to be seen by the watch
READY_SECONDS = 60.0
END_SECONDS = 30.0  # after a lease's end, for the floor
DOWN_SECONDS = 150.0  # after that, for the autoscaler to lower the replicas
EXACT_SECONDS = 5.0
TOO_MANY = 500
REASON = "claudescale demo: the same wish as the raw write before"


@dataclass(frozen=True, kw_only=True)
class Held:
    """What became of the lease; `record` is the head that the tool's answer gave to note down."""

    course: Course
    seconds: int
    account: str
    record: str | None
    exact: bool
    ended: float  # monotonic, when the lease was over


def lease(stage: Stage, raw: Course) -> Held:
    """From the assistant's call to the autoscaler as it was."""
    screen, base, observer = stage.screen, stage.ground.base, stage.observer
    screen.step(f"3  A lease of {ASKED}, asked for through the MCP tool")
    seconds, why = lease_seconds(raw.back)
    name = f"demo-{secrets.token_hex(3)}"
    wish = {"name": name, "workload": WORKLOAD, "replicas": ASKED, "duration_seconds": seconds, "reason": REASON}
    screen.line(f"  lease_capacity({', '.join(f'{key}={value!r}' for key, value in wish.items())})")
    screen.line(f"  {seconds} s: {why}")
    stage.trace.leases.append(name)
    with screen.waiting("the assistant asks"):
        told = stage.assistant.call("lease_capacity", **wish)
    patience = time.monotonic() + SEEN_SECONDS
    while name not in observer.created and time.monotonic() < patience:
        time.sleep(0.05)
    if not told.facts["floor_stands"] or name not in observer.created:
        raise ClaudeScaleError(f"the lease does not stand: {told.text}")
    account = plain(observer.leases[name]["spec"]["requestedBy"])
    screen.line(f"  the tool answers: {told.text}")
    screen.line(f"  asked for by {account}, decided and written by {CONTROLLER}")
    screen.began = began = observer.created[name]
    with screen.waiting("the lease holds"):
        if stage.wait(lambda: observer.now.ready >= ASKED, READY_SECONDS, "waiting for the new pods"):
            screen.say(f"floor {observer.now.floor}, {observer.now.ready} pods ready")
        else:
            screen.say(f"only {observer.now.ready} pods are ready after {READY_SECONDS:.0f} s: the lease goes on")
        until = f"the lease holds until {str(told.facts.get('until', ''))[11:19]}Z"
        left = began + seconds + END_SECONDS - time.monotonic()
        stage.wait(lambda: name in observer.over and observer.now.floor == base, left, until)
        screen.say(f"lease {name}: {plain(observer.leases[name].get('status', {}).get('message', ''))}")
        ended = time.monotonic()
        exact = _restored(stage)
        if stage.wait(lambda: observer.now.replicas == base, DOWN_SECONDS, "nothing holds the replicas any more"):
            stage.pause(LEAD / 2)
        else:
            screen.say(f"the autoscaler has not lowered the replicas within {DOWN_SECONDS:.0f} s")
            put_back(stage.cluster, stage.trace, screen.say)
    found = stage.course(began, ASKED)
    stage.tell_strangers(began)
    screen.line(f"  => {lease_words(found, seconds)}")
    if not found.held(seconds):
        stage.problems.append("the lease did not hold to its end")
    record = told.facts.get("record")
    return Held(course=found, seconds=seconds, account=account, record=record, exact=exact, ended=ended)


def _restored(stage: Stage) -> bool:
    """Whether the autoscaler is exactly what it was; said either way."""
    ground, patience = stage.ground, time.monotonic() + EXACT_SECONDS
    while left := differences(ground.hpa, read_autoscaler(stage.cluster, ground.autoscaler), CONTROLLER):
        if time.monotonic() > patience:
            stage.problems.append(f"{ground.autoscaler} was not restored exactly: {', '.join(left)}")
            stage.screen.say(stage.problems[-1])
            return False
        time.sleep(0.1)
    stage.screen.say(
        f"restored exactly: minReplicas {ground.base}, no annotation, no managedFields entry of {CONTROLLER},"
        " spec and labels as they were"
    )
    return True


def refusal(stage: Stage) -> None:
    """More than policy allows, through the same tool."""
    screen = stage.screen
    screen.step(f"4  A wish that is refused: {TOO_MANY} replicas, through the same tool")
    name = f"demo-{secrets.token_hex(3)}"
    wish = {"name": name, "workload": WORKLOAD, "replicas": TOO_MANY, "reason": "claudescale demo: far too much"}
    screen.line(f"  lease_capacity({', '.join(f'{key}={value!r}' for key, value in wish.items())})")
    stage.trace.leases.append(name)
    with screen.waiting("the assistant asks"):
        told = stage.assistant.call("lease_capacity", **wish)
    screen.line(f"  the tool answers: {told.text}")
    table = plain_table("  rule", "passed", "asked", "limit", f"by the {plain(str(told.facts.get('decided_by')))}")
    for rule in told.facts.get("rules", []):
        numbers = (str(rule.get(key, "")) for key in ("asked", "limit"))
        table.add_row(f"  {rule['rule']}", "yes" if rule["passed"] else "no", *numbers, plain(rule["message"]))
    screen.console.print(table, markup=False)
    if told.facts["outcome"] != "Refused" or stage.observer.now.floor != stage.ground.base:
        stage.problems.append(f"{TOO_MANY} replicas were not refused")
        put_back(stage.cluster, stage.trace, screen.say)
