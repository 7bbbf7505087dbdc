"""The module capacity_lease and the playbook lease on the real cluster, each step foretold by check mode."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.rig import DEPLOYMENTS, LEASES, Workload, until, workloads
from tests.doors.lease_module import Said, module
from tests.support import Cluster, Made, run

pytestmark = pytest.mark.cluster

BIN = Path(sys.executable).parent
ASSISTANT = "system:serviceaccount:claudescale:claudescale-sa"
SECONDS = 600  # longer than the ladder takes


class Rung:
    """The module and the playbook, for one workload's lease."""

    def __init__(self, cluster: Cluster, workload: Workload) -> None:
        self.cluster = cluster
        self.workload = workload

    def play(self, *, check: bool = False, **options: Any) -> Said:
        """The module's answer."""
        if options.get("state") != "ended":
            asked = {"workload": self.workload.name, "duration_seconds": SECONDS, "reason": "Launch of the sale"}
            options = {**asked, "replicas": 4, **options}
        given = {"context": self.cluster.context, "kubeconfig": str(self.cluster.kubeconfig), **options}
        said = module(given, check=check)
        print(f"{'check ' if check else ''}{options.get('state', 'present')}: {said.sentence}", flush=True)
        return said

    def step(self, **options: Any) -> Said:
        """Check mode, which changes nothing, then the same for real: it does what was foretold."""
        before = self.state()
        foretold = self.play(check=True, **options)
        assert self.state() == before
        done = self.play(**options)
        for part in ("changed", "failed", "diff", "code"):
            assert foretold.get(part) == done.get(part), part
        if not foretold.get("failed"):
            assert (self.state() != before) is done["changed"]
        return done

    def lease_yml(self, *arguments: str, **variables: Any) -> Made:
        """The playbook that people type."""
        given = json.dumps({"claudescale_profile": self.cluster.profile, **variables})
        command = [str(BIN / "ansible-playbook"), "playbooks/lease.yml", "-e", given, *arguments]
        return run(command, self.cluster.environment, 120)

    def state(self) -> Any:
        """All that check mode must not touch: this workload's leases and what holds its autoscaler."""
        leases = [
            (item["metadata"]["name"], item["spec"], (item.get("status") or {}).get("phase"))
            for item in self.workload.client.items(LEASES.format(self.workload.namespace))
            if item["spec"]["workloadRef"]["name"] == self.workload.name
        ]
        return sorted(leases, key=lambda lease: str(lease[0])), what_people_configured(self.workload)


def what_people_configured(workload: Workload) -> dict[str, Any]:
    """The autoscaler in everything but what counts its changes, who wrote them, and its status."""
    found = workload.autoscaler()
    ours = ("resourceVersion", "generation", "managedFields")
    meta = {name: value for name, value in found["metadata"].items() if name not in ours}
    return {"metadata": meta, "spec": found["spec"]}


@pytest.fixture(scope="module")
def workload(cluster: Cluster) -> Iterator[Workload]:
    with workloads(cluster, 1) as found:
        yield found[0]


@pytest.fixture
def rung(cluster: Cluster, workload: Workload) -> Rung:
    return Rung(cluster, workload)


def test_the_ladder(rung: Rung, workload: Workload) -> None:
    name = f"{workload.name}-module"
    people = what_people_configured(workload)
    made = rung.step(name=name, wait=True)
    assert (made["changed"], made["phase"], made["floor"]) == (True, "Active", {"before": 2, "applied": 4})
    assert workload.floor() == 4
    path = f"{DEPLOYMENTS.format(workload.namespace)}/{workload.name}"
    until(lambda: (workload.client.get(path).get("status") or {}).get("readyReplicas") == 4, 60)
    assert rung.step(name=name)["changed"] is False

    other = rung.step(name=name, replicas=3)
    assert other["failed"]
    assert other["msg"] == (
        f"lease {name} exists with other content (replicas is 4, not 3): use another name, or end it first"
    )

    ended = rung.step(name=name, state="ended", wait=True)
    assert (ended["changed"], ended["phase"], ended["floor"]) == (
        True,
        "Ended",
        {"before": 2, "applied": 4, "after": 2},
    )
    until(workload.restored, 3)
    assert what_people_configured(workload) == people
    assert rung.step(name=name, state="ended")["changed"] is False
    over = rung.step(name=name)
    assert over["msg"] == f"lease {name} is over (Ended), and its name is taken until it is deleted: use another name"
    assert rung.step(name=f"{name}-none", state="ended")["changed"] is False

    asked = next(one for one in workload.records() if one["event"] == "LeaseRequested" and one["lease"]["name"] == name)
    assert (asked["door"], asked["actor"]) == ("claudescale-ansible", workload.client.whoami())
    sequence, _, head = ended["record"].partition(":")
    assert int(sequence) > int(made["record"].partition(":")[0])
    assert len(head) == 64


def test_a_lease_ends_by_itself_and_may_be_waited_for(rung: Rung, workload: Workload) -> None:
    people = what_people_configured(workload)
    began = time.monotonic()
    done = rung.play(name=f"{workload.name}-short", duration_seconds=5, wait=True, wait_phase="Ended", wait_timeout=30)
    assert time.monotonic() - began > 4
    assert (done["changed"], done["phase"]) == (True, "Ended")
    until(workload.restored, 3)
    assert what_people_configured(workload) == people


def test_a_refusal_is_the_same_in_check_mode(rung: Rung, workload: Workload) -> None:
    name = f"{workload.name}-many"
    foretold = rung.play(check=True, name=name, replicas=500)
    refused = rung.play(name=name, replicas=500)
    assert foretold["failed"] is refused["failed"] is True
    for part in ("allowed", "code", "message"):
        assert foretold["decision"][part] == refused["decision"][part]
    assert [rule["code"] for rule in foretold["decision"]["rules"]] == [
        rule["code"] for rule in refused["decision"]["rules"]
    ]
    assert (refused["phase"], refused["code"]) == ("Refused", "AbovePolicyMaximum")
    assert "500 asked, 5 at most" in refused["msg"]
    again = rung.play(name=name, replicas=500, fail_on_refusal=False)
    assert (again.get("failed", False), again["changed"], again["phase"]) == (False, False, "Refused")
    assert workload.floor() == 2


BAD: list[tuple[dict[str, str | int], str]] = [
    ({"workload": "no-such"}, "there is no ScalingPolicy deployment.no-such: without one nothing may be asked for"),
    ({"namespace": "no-such"}, "there is no namespace no-such in this cluster"),
    ({"duration_seconds": 18_000}, "seconds it lasts: 18000 asked, 14400 at most"),
    ({"start_time": "2999-01-01T00:00:00Z"}, "seconds from its creation to its start: "),
    ({"start_time": "2999-01-01T00:00:00"}, "2999-01-01T00:00:00 has no time zone: write it like "),
    ({"impersonate_user": "nobody"}, 'User "nobody" cannot '),
    ({"kubeconfig": "/nonexistent"}, "the cluster is stopped: make up (no context "),
]


@pytest.mark.parametrize(("options", "part"), BAD, ids=[str(next(iter(options))) for options, _ in BAD])
def test_bad_input_is_one_sentence(rung: Rung, workload: Workload, options: dict[str, Any], part: str) -> None:
    people = what_people_configured(workload)
    name = f"{workload.name}-bad-{next(iter(options)).replace('_', '-')}"
    said = rung.play(name=name, **options)
    workload.client.delete(f"{LEASES.format(workload.namespace)}/{name}")  # one for no workload of the rig's
    assert said["failed"]
    assert part in said.sentence
    assert what_people_configured(workload) == people


def test_what_is_still_to_come_is_foretold(rung: Rung, workload: Workload) -> None:
    for options in ({"namespace": "no-such"}, {"kubeconfig": "/nonexistent"}):
        said = rung.play(check=True, name=f"{workload.name}-early", **options)
        assert (said["changed"], said["preview"], said["decision"]) == (True, True, None)
        assert said["msg"].startswith(f"would create lease {workload.name}-early, which cannot be decided yet: ")


def test_the_assistant_may_end_its_own_lease_only(rung: Rung, workload: Workload) -> None:
    person, own = f"{workload.name}-person", f"{workload.name}-assistant"
    rung.play(name=person)
    made = rung.play(name=own, impersonate_user=ASSISTANT, on_behalf_of="a person")
    assert (made["changed"], made["lease"]["spec"]["requestedBy"]) == (True, ASSISTANT)
    until(lambda: workload.autoscaler()["metadata"]["annotations"]["claudescale.io/leases"] == f"{own},{person}", 3)
    before = rung.state()
    for check in (True, False):
        said = rung.play(check=check, name=person, state="ended", impersonate_user=ASSISTANT)
        assert said["failed"]
        assert said["msg"].startswith("the API server answered ")
        assert rung.state() == before
    assert rung.step(name=own, state="ended", impersonate_user=ASSISTANT)["phase"] == "Ended"
    assert workload.floor() == 4  # the person's
    assert rung.step(name=person, state="ended", wait=True)["phase"] == "Ended"
    until(workload.restored, 3)


def test_the_playbook(rung: Rung, workload: Workload) -> None:
    name = f"{workload.name}-playbook"
    wanted = {"lease_name": name, "lease_workload": workload.name, "lease_replicas": 4,
              "lease_duration_seconds": SECONDS, "lease_reason": "Launch of the sale"}  # fmt: skip
    before = rung.state()
    foretold = rung.lease_yml("--check", "--diff", **wanted)
    assert (foretold.code, foretold.changed, rung.state()) == (0, 1, before)
    assert "+    replicas: 4\n" in foretold.text
    made = rung.lease_yml(**wanted, lease_wait=True)
    assert (made.code, made.changes()) == (0, ["Lease"])
    assert workload.floor() == 4
    assert f"lease {name}: the floor of {workload.name} stands at 4 until" in made.text
    held = rung.state()
    for arguments in ([], ["--check", "--diff"]):
        again = rung.lease_yml(*arguments, **wanted)
        assert (again.code, again.changed, rung.state()) == (0, 0, held)
    end = {"lease_name": name, "lease_state": "ended", "lease_wait": True}
    foretold = rung.lease_yml("--check", "--diff", **end)
    assert (foretold.code, foretold.changed, rung.state()) == (0, 1, held)
    assert "+    ended: true\n" in foretold.text
    assert rung.lease_yml(**end).changed == 1
    until(workload.restored, 3)
    assert rung.lease_yml(**end).changed == 0
