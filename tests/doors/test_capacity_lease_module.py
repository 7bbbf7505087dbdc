"""The module capacity_lease: what it asks for, says and refuses, against an API server on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.claudescale.core.plugins.module_utils import kubernetes_core, moments
from ansible_collections.claudescale.core.plugins.module_utils.asking import door
from ansible_collections.claudescale.core.plugins.module_utils.cluster import configurations
from ansible_collections.claudescale.core.plugins.modules import capacity_lease
from ansible_collections.kubernetes.core.plugins.doc_fragments import k8s_auth_options
from kubernetes.config import kube_config

from tests.doors.cluster_double import HPA, write_kubeconfig
from tests.doors.lease_double import GROUP, HASH, LEASES, POLICY, Server, lease_double, policy
from tests.doors.lease_module import Said, module
from tests.engine.http_double import Asked, Reply, http_double, refused_address

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
ASK = {
    "name": "friday", "workload": "demo-app", "replicas": 4, "duration_seconds": 90, "reason": "launch",
}  # fmt: skip
SPEC = {
    "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-app"},
    "replicas": 4, "durationSeconds": 90, "reason": "launch", "requestedBy": "person",
}  # fmt: skip
END = {"name": "friday", "state": "ended"}
DAY = 86_400
NO_DURATION: dict[str, Any] = {"duration_seconds": None}
NAME_RULE = "use 1 to 63 lower-case letters, digits and hyphens, as in friday-launch"
TIME_RULE = "write it like 2026-03-01T10:00:00Z"
ZONE_RULE = "has no time zone: write it like 2026-03-01T10:00:00Z for UTC, or with an offset such as +02:00"
INT = "and we were unable to convert to int"
NO_POLICY = "without one nothing may be asked for Deployment/nope"
STANDS = r"lease friday: the floor of demo-app-hpa stands at 4 until [-0-9T:.]+Z"

# What can be no lease, whatever policy says: the options that differ from ASK (None: left out), the whole sentence.
BAD = [
    pytest.param({"replicas": None, "reason": None}, "state is present but all of the following are missing: replicas, "
                 "reason", id="options-missing"),
    pytest.param({"state": "absent"}, "value of state must be one of: present, ended, got: absent", id="state"),
    pytest.param({"name": "Friday!"}, f"name 'Friday!' is no name: {NAME_RULE}", id="name"),
    pytest.param({"name": "../secrets/x"}, f"name '../secrets/x' is no name: {NAME_RULE}", id="name-is-a-path"),
    pytest.param({**END, "name": "../x"}, f"name '../x' is no name: {NAME_RULE}", id="name-to-end-is-a-path"),
    pytest.param({"namespace": "../x"}, f"namespace '../x' is no name: {NAME_RULE}", id="namespace-is-a-path"),
    pytest.param({**END, "namespace": ""}, f"namespace '' is no name: {NAME_RULE}", id="namespace-empty"),
    pytest.param({"workload": "cronjob/x"}, "'cronjob' is no kind of workload that can be leased for: use Deployment "
                 "or StatefulSet", id="kind"),
    pytest.param({"replicas": -1}, "replicas is -1: give a number from 1 to 10000", id="replicas-negative"),
    pytest.param({"replicas": 0}, "replicas is 0: give a number from 1 to 10000", id="replicas-zero"),
    pytest.param({"replicas": 10**30}, f"replicas is 1{'0' * 30}: give a number from 1 to 10000", id="replicas-huge"),
    pytest.param({"replicas": 2.5}, f"argument 'replicas' is of type float {INT}: \"2.5\" cannot be converted to an "
                 "int", id="replicas-fractional"),
    pytest.param({"replicas": "2.5"}, f"argument 'replicas' is of type str {INT}: \"'2.5'\" cannot be converted to an "
                 "int", id="replicas-fractional-text"),
    pytest.param({"replicas": True}, "replicas is True: give a whole number from 1 to 10000", id="replicas-truth"),
    pytest.param({"duration_seconds": 0}, "duration in seconds is 0: give a number from 1 to 604800", id="no-duration"),
    pytest.param({"duration_seconds": 8 * DAY}, "duration in seconds is 691200: give a number from 1 to 604800",
                 id="duration-huge"),
    pytest.param({"end_time": "2026-03-01T10:00:00Z"}, "parameters are mutually exclusive: end_time|duration_seconds",
                 id="end-and-duration"),
    pytest.param({"start_time": "2026-03-01T10:00:00"}, f"2026-03-01T10:00:00 {ZONE_RULE}", id="start-without-zone"),
    pytest.param({**NO_DURATION, "end_time": "2026-03-01 10:00"}, f"2026-03-01 10:00 {ZONE_RULE}",
                 id="end-without-zone"),
    pytest.param({"start_time": "tomorrow"}, f"'tomorrow' is no time: {TIME_RULE}", id="start-in-words"),
    pytest.param({**NO_DURATION, "start_time": "2026-03-01T10:00:00Z", "end_time": "2026-03-01T10:00:00+01:00"},
                 "the end 2026-03-01T10:00:00+01:00 is not after the start 2026-03-01T10:00:00Z: give an end that "
                 "comes after it", id="end-before-start"),
    pytest.param({"reason": ""}, "reason is empty: say why, because it is what people read afterwards",
                 id="reason-empty"),
    pytest.param({"reason": "x" * (1 << 20)}, "reason has 1048576 characters: 512 at most", id="reason-of-a-MiB"),
    pytest.param({"reason": "".join(map(chr, range(1, 32)))}, "reason has the invisible character U+0001: use letters "
                 "that can be seen", id="reason-control-characters"),
    pytest.param({"on_behalf_of": " "}, "onBehalfOf is empty: say why, because it is what people read afterwards",
                 id="on-behalf-of-empty"),
    pytest.param({"wait_timeout": -1}, "wait_timeout is -1: give 0 or more seconds", id="wait-negative"),
    pytest.param({"kubeconfig": ["x"]}, "kubeconfig is neither a path nor a dictionary: name the file",
                 id="kubeconfig-is-a-list"),
    pytest.param({"ca_cert": "/nonexistent/ca"}, "ca_cert /nonexistent/ca cannot be read: No such file or directory",
                 id="certificate-missing"),
]  # fmt: skip

# What policy refuses: the options, the code, the sentence (a pattern where it holds a number that time makes).
REFUSED = [
    pytest.param({"workload": "nope"}, "NoPolicy", f"there is no ScalingPolicy deployment.nope: {NO_POLICY}",
                 id="unknown-workload"),
    pytest.param({"replicas": 500}, "AbovePolicyMaximum", "replicas by policy: 500 asked, 5 at most; replicas by the "
                 "autoscaler's maximum: 500 asked, 5 at most; replicas above the base of 2: 498 asked, 3 at most",
                 id="too-many"),
    pytest.param({**NO_DURATION, "end_time": -DAY}, "AlreadyOver",
                 r"its end was 86\d{3} s (ago|before it was asked for): ask for a time that is still to come",
                 id="expired"),
    pytest.param({"start_time": 8 * DAY}, "TooFarAhead",
                 r"seconds from its creation to its start: 69[01]\d{3}(\.\d)? asked, 604800 at most",
                 id="too-far-ahead"),
]  # fmt: skip

# What the cluster answers to a path, the whole sentence, whether check mode goes on (it is still to come).
STATES = [
    pytest.param({GROUP: 404}, "the kinds of claudescale.io are not installed in this cluster: make up brings them",
                 True, id="crds-missing"),
    pytest.param({LEASES: 404}, "there is no namespace claudescale in this cluster", True, id="unknown-namespace"),
    pytest.param({LEASES: 403}, f"the API server answered 403: {LEASES} is not for you", False, id="forbidden"),
    pytest.param({POLICY: 401}, f"the API server answered 401: {POLICY} is not for you", False, id="not-authenticated"),
]  # fmt: skip


Ran = Callable[..., Said]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of a person's environment, and nothing of another test in kubernetes' global configuration."""
    for name in [name for name in os.environ if name.startswith("K8S_AUTH_") or name == "KUBECONFIG"]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", "/nonexistent/config")  # read when it is imported
    monkeypatch.setattr(door, "ANSWER_SECONDS", 0.1)
    yield


@pytest.fixture
def server() -> Iterator[Server]:
    with lease_double() as double:
        yield double


@pytest.fixture
def run(server: Server, tmp_path: Path) -> Ran:
    """Run the module against the double, with ASK's options and others."""
    path = str(server.api.kubeconfig(tmp_path))

    def call(base: dict[str, Any] = ASK, *, check: bool = False, **options: Any) -> Said:
        return module({"kubeconfig": path, "context": "claudescale", **base, **options}, check=check)

    return call


@pytest.fixture(params=[False, True], ids=["for-real", "check"])
def check(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def in_seconds(options: dict[str, Any]) -> dict[str, Any]:
    """The options, with times that are numbers of seconds from now written out."""
    return {
        name: moments.text(time.time() + value) if name.endswith("_time") and isinstance(value, int) else value
        for name, value in options.items()
    }


# Bad input


@pytest.mark.parametrize(("options", "sentence"), BAD)
def test_what_can_be_no_lease_is_one_sentence_and_changes_nothing(
    run: Ran, server: Server, check: bool, options: dict[str, Any], sentence: str
) -> None:
    said = run(**options, check=check)
    assert (said["failed"], said.get("changed", False), said.sentence) == (True, False, sentence)
    assert server.api.asked == []


@pytest.mark.parametrize(("options", "code", "sentence"), REFUSED)
def test_what_policy_refuses_fails_with_every_rule(
    run: Ran, server: Server, check: bool, options: dict[str, Any], code: str, sentence: str
) -> None:
    said = run(**in_seconds(options), check=check)
    assert (said["failed"], said["code"], said["preview"]) == (True, code, check)
    pattern = sentence if "\\" in sentence else re.escape(sentence)
    head = "lease friday would be refused: " if check else "lease friday: refused: "
    assert re.fullmatch(head + pattern, said.sentence)
    assert re.fullmatch(pattern, said["decision"]["message"])
    refusals = [rule for rule in said["decision"]["rules"] if not rule["passed"]]
    assert refusals[0]["code"] == code
    assert all(rule["message"] in said["msg"] for rule in refusals)
    assert said["phase"] == (None if check else "Refused")
    assert server.api.writes == [] if check else [write[0] for write in server.api.writes] == ["POST"]


@pytest.mark.parametrize(("codes", "sentence", "to_come"), STATES)
def test_a_cluster_that_is_not_ready_is_one_sentence(
    run: Ran, server: Server, codes: dict[str, int], sentence: str, to_come: bool
) -> None:
    server.api.codes = codes
    said = run()
    assert (said["failed"], said.sentence) == (True, sentence)
    said = run(check=True)
    if to_come:
        assert_would_create(said, sentence)
    else:
        assert (said["failed"], said.sentence) == (True, sentence)
    assert server.api.writes == []


def assert_would_create(said: Said, why: str) -> None:
    assert said.sentence == f"would create lease friday, which cannot be decided yet: {why}"
    assert said["warnings"] == [said["msg"]]
    assert (said["changed"], said["preview"], said["decision"], said["phase"]) == (True, True, None, None)
    spec = {name: value for name, value in SPEC.items() if name != "requestedBy"}
    assert said["diff"] == {"before": {}, "after": spec}
    assert said["lease"]["spec"] == spec


def away(tmp_path: Path) -> dict[str, Any]:
    return {**ASK, "kubeconfig": str(write_kubeconfig(tmp_path, refused_address())), "context": "claudescale"}


def test_an_api_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    options = away(tmp_path)
    said = module(options)
    assert said["failed"]
    assert re.fullmatch(r"the cluster is stopped: make up \(http://127.0.0.1:\d+ refuses connections\)", said.sentence)
    assert_would_create(module(options, check=True), said["msg"])
    ended = {**options, "state": "ended"}
    assert module(ended)["msg"] == said["msg"]
    foretold = module(ended, check=True)
    assert (foretold["changed"], foretold.sentence) == (False, f"there is no lease friday to end: {said['msg']}")


KUBECONFIGS = [
    pytest.param(None, "the cluster is stopped: make up (no context claudescale here)", True, id="missing"),
    pytest.param("{}", "the cluster is stopped: make up (no context claudescale here)", True, id="empty"),
    pytest.param("clusters: [", "the kubeconfig cannot be read: while parsing", False, id="broken"),
    pytest.param("[1, 2]", "the kubeconfig cannot be ", False, id="a-list"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "sentence", "to_come"), KUBECONFIGS)
def test_a_kubeconfig_that_leads_nowhere_is_one_sentence(
    tmp_path: Path, content: str | None, sentence: str, to_come: bool
) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    said = module({**ASK, "kubeconfig": str(path), "context": "claudescale"})
    assert said["failed"]
    assert said.sentence.startswith(sentence)
    foretold = module({**ASK, "kubeconfig": str(path), "context": "claudescale"}, check=True)
    if to_come:
        assert_would_create(foretold, sentence)
    else:
        assert foretold["msg"] == said["msg"]


def test_without_any_kubeconfig_it_says_so() -> None:
    assert module(ASK).sentence == "the cluster is stopped: make up (no kubeconfig here)"


# A lease that is asked for


def test_a_lease_is_created_once(run: Ran, server: Server) -> None:
    foretold = run(check=True)
    assert (foretold["changed"], foretold["preview"], foretold["code"]) == (True, True, "Allowed")
    assert foretold["lease"]["spec"] == SPEC
    assert server.leases() == []
    said = run()
    assert re.fullmatch(STANDS, said.sentence)
    assert said["changed"] is True
    assert said["diff"] == foretold["diff"] == {"before": {}, "after": SPEC}
    assert [rule["code"] for rule in said["decision"]["rules"]] == [
        rule["code"] for rule in foretold["decision"]["rules"]
    ]
    assert (said["phase"], said["code"], said["preview"]) == ("Active", "Allowed", False)
    assert (said["floor"], said["record"]) == ({"before": 2, "applied": 4}, f"7:{HASH}")
    assert said["lease"]["spec"] == SPEC
    assert "managedFields" not in said["lease"]["metadata"]
    assert server.leases()[0]["metadata"]["managedFields"][0]["manager"] == "claudescale-ansible"
    assert said["warnings"] == []


def test_the_same_again_is_unchanged(run: Ran, server: Server, check: bool) -> None:
    run()
    server.api.writes.clear()
    said = run(check=check)
    assert re.fullmatch(STANDS, said.sentence)
    assert (said["changed"], said["phase"], said["preview"]) == (False, "Active", False)
    assert said["diff"] == {"before": {}, "after": {}}
    assert server.api.writes == []


def test_without_a_duration_the_policys_counts_and_any_of_the_same_lease_is_as_good(run: Ran, server: Server) -> None:
    assert run(**NO_DURATION)["lease"]["spec"]["durationSeconds"] == 1800
    changed = policy()
    changed["spec"]["lease"]["defaultDurationSeconds"] = 600
    server.api.objects[POLICY] = changed
    assert run(**NO_DURATION)["changed"] is False


def test_two_spellings_of_one_instant_are_the_same(run: Ran) -> None:
    start = int(time.time()) + 600
    utc = moments.text(start).replace(".000000", "")
    zoned = moments.text(start + 3600).replace(".000000Z", "+01:00")
    assert run(start_time=utc)["phase"] == "Pending"
    assert run(start_time=zoned)["changed"] is False


def test_other_content_under_the_name_is_refused(run: Ran, server: Server, check: bool) -> None:
    run()
    server.api.writes.clear()
    said = run(replicas=3, on_behalf_of="marketing", check=check)
    assert said["failed"]
    assert said["code"] == "BadRequest"
    assert said.sentence == (
        "lease friday exists with other content (replicas is 4, not 3, onBehalfOf is None, not 'marketing'): use "
        "another name, or end it first"
    )
    assert server.api.writes == []


def test_a_name_whose_lease_is_over_is_refused(run: Ran, server: Server, check: bool) -> None:
    run()
    run(END)
    server.api.writes.clear()
    said = run(check=check)
    assert (said["failed"], said["code"]) == (True, "BadRequest")
    assert said.sentence == "lease friday is over (Ended), and its name is taken until it is deleted: use another name"
    assert server.api.writes == []


def test_a_refusal_may_be_a_result(run: Ran, check: bool) -> None:
    said = run(replicas=500, fail_on_refusal=False, check=check)
    assert not said.get("failed")
    assert (said["changed"], said["code"], said["decision"]["allowed"]) == (True, "AbovePolicyMaximum", False)
    again = run(replicas=500, fail_on_refusal=False, check=check)
    assert again["changed"] is check  # check mode has left nothing that could be unchanged
    assert again["decision"]["rules"] == said["decision"]["rules"]
    if not check:
        assert again.sentence == f"{said.sentence}; to ask again, use another name"


def test_a_caller_that_may_not_look_still_asks(run: Ran, server: Server) -> None:
    server.away = True
    server.api.codes = {HPA: 403}
    said = run()
    assert (said["changed"], said["decision"], said["code"], said["preview"]) == (True, None, None, True)
    assert said["warnings"] == [said.sentence]
    assert (
        f"what the rules say cannot be foretold here (the API server answered 403: {HPA} is not for you)" in said["msg"]
    )


def test_without_a_controller_the_lease_waits_and_the_answer_is_a_preview(run: Ran, server: Server) -> None:
    server.away = True
    said = run()
    sentence = (
        "lease friday waits: the controller has not answered within 0 s; by the rules it would be allowed. Nothing is "
        "lost: it is decided when the controller is back (claudescale status shows it)"
    )
    assert said.sentence == sentence
    assert (said["changed"], said["preview"], said["code"], said["phase"]) == (True, True, "Allowed", None)
    assert said["warnings"] == [sentence]
    assert run()["changed"] is False
    refused = run(name="many", replicas=500)
    assert (refused["failed"], refused["preview"], refused["code"]) == (True, True, "AbovePolicyMaximum")
    assert "by the rules it would be refused (replicas by policy: 500 asked, 5 at most;" in refused.sentence


# An end


def test_a_lease_is_ended_once(run: Ran, server: Server) -> None:
    run()
    server.api.writes.clear()
    foretold = run(END, check=True)
    assert (foretold["changed"], foretold["phase"], foretold.sentence) == (True, "Active", "would end lease friday")
    assert server.api.writes == []
    said = run(END)
    assert (said["changed"], said["phase"]) == (True, "Ended")
    assert said.sentence == "lease friday: over: it was ended before its time"
    assert said["diff"] == foretold["diff"] == {"before": {"ended": False}, "after": {"ended": True}}
    assert said["floor"] == {"before": 2, "applied": 4, "after": 2}
    assert [write[0] for write in server.api.writes] == ["PATCH"]
    for again in (run(END), run(END, check=True)):
        assert (again["changed"], again["phase"], again["msg"]) == (False, "Ended", said["msg"])
        assert again["diff"] == {"before": {}, "after": {}}
    assert len(server.api.writes) == 1


def test_no_lease_is_no_more_to_be_ended(run: Ran, server: Server, check: bool) -> None:
    said = run(END, check=check)
    assert (said["changed"], said["lease"]) == (False, None)
    assert said.sentence == (
        "there is no lease friday in namespace claudescale: what has ended is deleted after a while"
    )
    assert server.api.writes == []


def test_without_its_kind_there_is_no_lease_to_be_ended(run: Ran, server: Server) -> None:
    server.api.codes = {GROUP: 404}
    missing = "the kinds of claudescale.io are not installed in this cluster: make up brings them"
    assert (run(END)["failed"], run(END)["msg"]) == (True, missing)
    foretold = run(END, check=True)
    assert (foretold["changed"], foretold.sentence) == (False, f"there is no lease friday to end: {missing}")


def test_ending_a_refused_lease_is_no_refusal(run: Ran) -> None:
    run(replicas=500)
    said = run(END)
    assert (said.get("failed", False), said["changed"], said["phase"]) == (False, False, "Refused")


def test_who_may_not_end_it_hears_so_in_check_mode_too(run: Ran, server: Server, check: bool) -> None:
    run()

    def refuse(*_: Any) -> tuple[int, Any]:
        return 422, {"message": "only who asked may end it", "reason": "Invalid"}

    server.api.on_write = refuse
    said = run(END, check=check)
    assert (said["failed"], said.sentence) == (True, "the API server answered 422: only who asked may end it")


def test_without_a_controller_an_end_is_asked_for(run: Ran, server: Server) -> None:
    run()
    server.away = True
    said = run(END)
    assert (said["changed"], said["phase"]) == (True, "Active")
    assert said.sentence == (
        "lease friday is to end, and the controller has not ended it yet: it does so when it is back (claudescale "
        "status shows it)"
    )
    assert said["warnings"] == [said["msg"]]
    again = run(END)
    assert (again["changed"], again["msg"]) == (False, said["msg"])


# Waiting


def test_waiting_ends_when_the_floor_stands(run: Ran) -> None:
    said = run(wait=True)
    assert (said["changed"], said["phase"]) == (True, "Active")
    assert re.fullmatch(STANDS, said.sentence)


WAITS = [
    pytest.param({}, "NotStarted", r"the floor of lease friday did not come within 0 s: lease friday: accepted: it .+",
                 id="the-floor-of-a-lease-to-come"),
    pytest.param({"wait_phase": "Active"}, "NotStarted",
                 r"phase Active of lease friday did not come within 0 s: lease friday: accepted: it starts at .+",
                 id="the-beginning"),
    pytest.param({"wait_phase": "Ended"}, None, rf"phase Ended of lease friday did not come within 0 s: {STANDS}",
                 id="the-end"),
    pytest.param({}, "FloorContested", r"the floor of lease friday did not come within 0 s: lease friday: argocd keeps "
                 "writing minReplicas of demo-app-hpa: the lease stopped asserting its floor", id="a-contested-floor"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "reason", "sentence"), WAITS)
def test_a_wait_in_vain_fails_with_all_that_is_known(
    run: Ran, server: Server, options: dict[str, Any], reason: str | None, sentence: str
) -> None:
    server.reason = reason
    said = run(wait=True, wait_timeout=0, **options)
    assert said["failed"]
    assert re.fullmatch(sentence, said.sentence)
    assert (said["changed"], said["code"], said["record"]) == (True, "Allowed", f"7:{HASH}")


@pytest.mark.parametrize("options", [{"wait_phase": "Pending"}, {"wait_phase": "Active"}], ids=["accepted", "begun"])
def test_a_phase_that_has_been_passed_is_reached(run: Ran, options: dict[str, Any]) -> None:
    assert run(wait=True, wait_timeout=0, **options)["phase"] == "Active"


def test_waiting_for_the_end_of_a_lease_is_over_with_it(run: Ran) -> None:
    run()
    said = run(END, wait=True)
    assert (said["changed"], said["phase"]) == (True, "Ended")
    assert run(END, wait=True)["changed"] is False


def test_a_policy_that_observes_leaves_nothing_to_wait_for(run: Ran, server: Server) -> None:
    observed = {"phase": "Observed", "message": "the policy only observes: this would have been allowed"}
    server.decided = lambda item: {**Server.decided(server, item), **observed, "conditions": []}  # type: ignore[method-assign]
    said = run(wait=True)
    assert (said.get("failed", False), said["phase"]) == (False, "Observed")
    assert said["warnings"] == ["lease friday: the policy only observes: this would have been allowed"]
    assert run(wait=True)["changed"] is False


def test_what_is_refused_at_its_start_is_a_refusal(run: Ran, server: Server) -> None:
    """A lease that waits is decided again when it begins."""
    server.reason = "NotStarted"
    run()
    server.reason = None
    refused = Server.decided(server, {**server.leases()[0], "spec": {**SPEC, "replicas": 500}})
    server.leases()[0]["status"] = {**refused}
    said = run(wait=True)
    assert (said["failed"], said["phase"], said["code"]) == (True, "Refused", "AbovePolicyMaximum")


def test_a_lease_that_is_deleted_meanwhile_is_said_to_be(run: Ran, server: Server) -> None:
    server.away = True

    def vanish(item: Any, *_: Any) -> tuple[int, Any]:
        answer = server.on_write(item, *_)
        server.api.objects.pop(f"{LEASES}/friday", None)
        return answer

    server.api.on_write = vanish
    said = run(wait=True)
    assert (said["failed"], said["changed"]) == (True, True)
    assert said.sentence == "lease friday was deleted while it was waited for"


# The way to the API server


def test_kubernetes_cores_options_are_heeded(tmp_path: Path) -> None:
    heard: list[Asked] = []

    def script(asked: Asked) -> Reply:
        heard.append(asked)
        return Reply(status=403, body={"message": "no"})

    with http_double(script) as double:
        said = module(
            {**ASK, "host": double.address + "/", "api_key": "a-token-of-mine", "impersonate_user": "jane",
             "impersonate_groups": ["one", "two"]}
        )  # fmt: skip
    assert said.sentence == "the API server answered 403: no"
    assert heard[0].headers["authorization"] == "Bearer a-token-of-mine"
    assert (heard[0].headers["impersonate-user"], heard[0].headers["impersonate-group"]) == ("jane", "two")
    assert len(heard) == 1


def test_kubernetes_cores_variables_are_heeded(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", str(server.api.kubeconfig(tmp_path, "mine")))
    monkeypatch.setenv("K8S_AUTH_CONTEXT", "mine")
    assert module(ASK)["changed"] is True
    monkeypatch.setenv("K8S_AUTH_CONTEXT", "other")
    assert module(ASK).sentence == "the cluster is stopped: make up (no context other here)"


def test_a_certificate_that_a_variable_names_is_looked_for(run: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_SSL_CA_CERT", "/nonexistent/ca")
    assert run().sentence == "ca_cert /nonexistent/ca cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("place", "name", "sentence"),
    [
        (kubernetes_core, "MISSING", "the collection kubernetes.core is missing here: ansible-galaxy "),
        (configurations, "MISSING", "Failed to import the required Python library (kubernetes) on "),
    ],
    ids=["collection", "library"],
)
def test_what_is_not_installed_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, sentence: str
) -> None:
    monkeypatch.setattr(place, name, "ImportError: it")
    assert module(ASK)["msg"].startswith(sentence)


def test_a_kubeconfig_may_be_a_dictionary(server: Server, tmp_path: Path) -> None:
    content = json.loads(server.api.kubeconfig(tmp_path, "in-memory").read_text())
    assert module({**ASK, "kubeconfig": content, "context": "in-memory"})["changed"] is True
    assert module({**ASK, "kubeconfig": {"clusters": 7}, "context": "x"}).sentence.startswith(
        "the kubeconfig cannot be "
    )


def test_what_is_no_api_server_is_one_sentence() -> None:
    with http_double(lambda _: Reply(body=b"<html>")) as double:
        said = module({**ASK, "host": double.address, "api_key": "a-token-of-mine"})
    assert said["failed"]
    assert said.sentence.startswith(f"what answers at {double.address} is no API server: POST /apis/")


# As Ansible runs it

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/claudescale.core.claudescale:
      kubeconfig: "{{ there }}"
      context: claudescale
  tasks:
    - claudescale.core.capacity_lease: "{{ item }}"
      loop: "{{ runs }}"
      register: answer
      ignore_errors: true
    - claudescale.core.capacity_lease:
        name: saturday
        workload: demo-app
        replicas: 4
        reason: launch
        start_time: 2999-03-01T10:00:00
      register: unquoted
      ignore_errors: true
    - ansible.builtin.copy:
        content: "{{ (answer.results + [unquoted]) | to_json }}"
        dest: "{{ answer_file }}"
        mode: "0600"
      check_mode: false
"""


def test_ansible_runs_it(server: Server, tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    answers = tmp_path / "answer.json"
    runs = [ASK, ASK, {**ASK, "replicas": 500, "name": "many"}, {**ASK, "replica": 4}, END]
    variables = {
        "runs": runs, "answer_file": str(answers), "there": str(server.api.kubeconfig(tmp_path)),
        "ansible_python_interpreter": sys.executable,
    }  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "K8S_"))}
    done = subprocess.run(
        [BIN / "ansible-playbook", "play.yml", "-i", "localhost,", "-c", "local", "-e", json.dumps(variables)],
        cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**environment, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "KUBECONFIG": "/nonexistent/config"},
    )  # fmt: skip
    assert answers.exists(), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    created, unchanged, refused, unknown, ended, unquoted = json.loads(answers.read_text())
    assert (created["changed"], created["phase"]) == (True, "Active")
    assert unchanged["changed"] is False
    assert (refused["failed"], refused["code"], len(refused["decision"]["rules"])) == (True, "AbovePolicyMaximum", 11)
    assert unknown["msg"].startswith("Unsupported parameters for (claudescale.core.capacity_lease) module: replica.")
    assert (ended["changed"], ended["phase"]) == (True, "Ended")
    assert unquoted["msg"] == f"2999-03-01T10:00:00 {ZONE_RULE}"
    documented = yaml.safe_load(capacity_lease.RETURN)
    added = {"changed", "failed", "warnings", "invocation", "item", "ansible_loop_var", "exception"}
    assert set(created) - added == set(refused) - added == set(documented)


def test_the_playbook_refuses_what_is_not_said_or_cut(tmp_path: Path) -> None:
    def lease_yml(*arguments: str) -> str:
        done = subprocess.run(
            [BIN / "ansible-playbook", "playbooks/lease.yml", "-e", f"claudescale_kubeconfig={tmp_path}", *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode != 0
        return " ".join(done.stdout.split())

    assert 'Say how much and why: -e lease_replicas=4 -e "lease_reason=' in lease_yml()
    assert "Say how much and why: " in lease_yml("-e", "lease_replicas=4")
    cut = lease_yml("-e", "lease_replicas=4", "-e", "lease_reason=Launch of the sale")
    assert 'The words "of the sale" belong to no variable, because Ansible splits -e at spaces' in cut


# Documentation


def test_documentation_says_what_the_arguments_are() -> None:
    documented = yaml.safe_load(capacity_lease.DOCUMENTATION)
    for name, rule in capacity_lease.ARGUMENTS.items():
        for part in ("type", "choices", "default", "required"):
            assert documented["options"][name].get(part) == rule.get(part), (name, part)
    assert set(documented["options"]) == set(capacity_lease.ARGUMENTS)
    fragment = yaml.safe_load(k8s_auth_options.ModuleDocFragment.DOCUMENTATION)
    assert set(fragment["options"]) == set(kubernetes_core.AUTH_ARG_SPEC)
    assert documented["extends_documentation_fragment"] == ["kubernetes.core.k8s_auth_options"]


def test_examples_are_accepted(run: Ran) -> None:
    tasks = [task for task in yaml.safe_load(capacity_lease.EXAMPLES) if "claudescale.core.capacity_lease" in task]
    assert len(tasks) == 5
    for task in tasks:
        options = task["claudescale.core.capacity_lease"]
        said = run({**options, "context": "claudescale"}, check=True)
        assert said.get("code") != "BadRequest", said["msg"]
        assert not said["msg"].startswith("Unsupported"), said["msg"]
