"""`claudescale lease`, `end`, `leases`, `policy`, `controller` and `status`: what they print, ask for and refuse."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking import door
from claudescale_cli import capacity, common
from claudescale_cli import controller as controller_command
from claudescale_cli import main as cli
from claudescale_cli.lease import made_up_name

from tests.doors.cluster_double import HPA, SPACE, write_kubeconfig
from tests.doors.command import Said
from tests.doors.lease_double import (
    CONTROLLER,
    DEMO_APP,
    GROUP,
    HASH,
    LEASES,
    POLICIES,
    POLICY,
    Server,
    autoscaler,
    lease_double,
    policy,
)
from tests.support import ROOT

ASK = {"--workload": "demo-app", "--replicas": "4", "--for": "90s", "--reason": "launch"}
HEAD = f"record to note down: 7:{HASH}"
NAME_RULE = "use 1 to 63 lower-case letters, digits and hyphens, as in friday-launch"
WORKLOAD_RULE = "use 1 to 253 lower-case letters, digits and hyphens, as in friday-launch"
DURATION_RULE = "write whole numbers with units, as in 90s, 30m, 2h or 1h30m"
TIME_RULE = "write it like 2026-03-01T10:00:00Z"
NO_END: dict[str, str | None] = {"--for": None}
EIGHT_DAYS, DAY = 8 * 86_400, 86_400

# What can be no lease, whatever policy says: the arguments that differ from ASK (None: left out), the whole sentence.
BAD = [
    pytest.param({"--workload": None, "--reason": None},
                 "--workload, --reason must be given too, as in: claudescale lease --workload demo-app --replicas 4 "
                 "--for 30m --reason 'launch at 20:00'", id="options-missing"),
    pytest.param({"name": "Friday!"}, f"name 'Friday!' is no name: {NAME_RULE}", id="name"),
    pytest.param({"name": "x" * 64}, f"name '{'x' * 58}… is no name: {NAME_RULE}", id="name-too-long"),
    pytest.param({"name": "../secrets/x"}, f"name '../secrets/x' is no name: {NAME_RULE}", id="name-is-a-path"),
    pytest.param({"--workload": "cronjob/x"}, "'cronjob' is no kind of workload that can be leased for: use Deployment "
                 "or StatefulSet", id="kind"),
    pytest.param({"--workload": "Demo App"}, f"workload 'Demo App' is no name: {WORKLOAD_RULE}", id="workload"),
    pytest.param({"--replicas": "0"}, "replicas is 0: give a number from 1 to 10000", id="replicas-zero"),
    pytest.param({"--replicas": "-1"}, "replicas is -1: give a number from 1 to 10000", id="replicas-negative"),
    pytest.param({"--replicas": "4.5"}, "replicas is '4.5': give a whole number from 1 to 10000", id="replicas-parts"),
    pytest.param({"--replicas": "10001"}, "replicas is 10001: give a number from 1 to 10000", id="replicas-huge"),
    pytest.param({"--replicas": "9" * 5000}, f"replicas is '{'9' * 58}…: give a whole number from 1 to 10000",
                 id="replicas-endless"),
    pytest.param({"--replicas": "four"}, "replicas is 'four': give a whole number from 1 to 10000", id="replicas-word"),
    pytest.param({"--replicas": "٤"}, "replicas is '٤': give a whole number from 1 to 10000", id="replicas-script"),
    pytest.param({"--for": "90"}, f"'90' is no duration: {DURATION_RULE}", id="duration-without-unit"),
    pytest.param({"--for": "-5m"}, f"'-5m' is no duration: {DURATION_RULE}", id="duration-negative"),
    pytest.param({"--for": "1.5h"}, f"'1.5h' is no duration: {DURATION_RULE}", id="duration-fraction"),
    pytest.param({"--for": ""}, f"'' is no duration: {DURATION_RULE}", id="duration-empty"),
    pytest.param({"--for": "0s"}, "duration in seconds is 0: give a number from 1 to 604800", id="duration-zero"),
    pytest.param({"--for": "8d"}, "duration in seconds is 691200: give a number from 1 to 604800", id="duration-huge"),
    pytest.param({"--until": "2026-03-01T10:00:00Z"}, "an end and a duration were both given: give one of them",
                 id="end-and-duration"),
    pytest.param({**NO_END, "--until": "2026-03-01T10:00:00"}, "2026-03-01T10:00:00 has no time zone: write it like "
                 "2026-03-01T10:00:00Z for UTC, or with an offset such as +02:00", id="end-without-zone"),
    pytest.param({"--from": "2026-03-01 10:00"}, "2026-03-01 10:00 has no time zone: write it like "
                 "2026-03-01T10:00:00Z for UTC, or with an offset such as +02:00", id="start-without-zone"),
    pytest.param({**NO_END, "--until": "tomorrow"}, f"'tomorrow' is no time: {TIME_RULE}", id="end-in-words"),
    pytest.param({**NO_END, "--from": "2026-03-01T10:00:00Z", "--until": "2026-03-01T10:00:00+01:00"},
                 "the end 2026-03-01T10:00:00+01:00 is not after the start 2026-03-01T10:00:00Z: give an end that "
                 "comes after it", id="end-before-start"),
    pytest.param({"--reason": ""}, "reason is empty: say why, because it is what people read afterwards",
                 id="reason-empty"),
    pytest.param({"--reason": " \t"}, "reason is empty: say why, because it is what people read afterwards",
                 id="reason-blank"),
    pytest.param({"--reason": "x" * (1 << 20)}, "reason has 1048576 characters: 512 at most", id="reason-of-a-MiB"),
    pytest.param({"--reason": "a\x1b[31mb"}, "reason has the invisible character U+001B: use letters that can be seen",
                 id="reason-escape"),
    pytest.param({"--reason": "a\nb"}, "reason has the invisible character U+000A: use letters that can be seen",
                 id="reason-lines"),
    pytest.param({"--reason": "a\u202eb"}, "reason has the invisible character U+202E: use letters that can be seen",
                 id="reason-turned-round"),
    pytest.param({"--reason": "a\udcffb"}, "reason has the invisible character U+DCFF: use letters that can be seen",
                 id="reason-no-utf-8"),
    pytest.param({"--on-behalf-of": ""}, "onBehalfOf is empty: say why, because it is what people read afterwards",
                 id="on-behalf-of-empty"),
    pytest.param({"--timeout": "x"}, f"'x' is no duration: {DURATION_RULE}", id="timeout"),
]  # fmt: skip

# What policy refuses: the arguments, the sentence (a pattern where it holds a number that time makes).
REFUSED = [
    pytest.param({"--workload": "nope"}, "there is no ScalingPolicy deployment.nope: without one nothing may be asked "
                 "for Deployment/nope", id="unknown-workload"),
    pytest.param({"--replicas": "500"}, "replicas by policy: 500 asked, 5 at most; replicas by the autoscaler's "
                 "maximum: 500 asked, 5 at most; replicas above the base of 2: 498 asked, 3 at most", id="too-many"),
    pytest.param({"--for": "5h"}, "seconds it lasts: 18000 asked, 14400 at most", id="too-long"),
    pytest.param({**NO_END, "--until": -DAY}, r"its end was 86\d{3} s (ago|before it was asked for): ask for a time "
                 "that is still to come", id="expired"),
    pytest.param({"--from": EIGHT_DAYS}, r"seconds from its creation to its start: 69[01]\d{3}(\.\d)? asked, "
                 "604800 at most", id="too-far-ahead"),
]  # fmt: skip

# What the cluster is not ready for: a path that answers with a code, or is taken away; the sentence.
STATES = [
    pytest.param({GROUP: 404}, "the kinds of claudescale.io are not installed in this cluster: make up brings them",
                 id="crds-missing"),
    pytest.param({LEASES: 404}, "there is no namespace claudescale in this cluster", id="namespace-unknown"),
    pytest.param({LEASES: 403}, f"the API server answered 403: {LEASES} is not for you", id="credentials-forbidden"),
    pytest.param({POLICY: 401}, f"the API server answered 401: {POLICY} is not for you", id="credentials-expired"),
]  # fmt: skip


@pytest.fixture
def server() -> Iterator[Server]:
    with lease_double() as double:
        yield double


@pytest.fixture
def claudescale(run: Callable[..., Said], server: Server, tmp_path: Path) -> Callable[..., Said]:
    """The command with a kubeconfig that leads to the double."""
    kubeconfig = str(server.api.kubeconfig(tmp_path))
    return lambda *arguments: run("--kubeconfig", kubeconfig, *arguments)


def asked(changes: dict[str, Any], *more: str) -> list[str]:
    """The arguments of `lease` with some of them changed; numbers are seconds from now."""
    flags = ASK | changes
    name = flags.pop("name", "launch")
    arguments = ["lease", name]
    for flag, value in flags.items():
        text = moments.text(time.time() + value) if isinstance(value, int) else value
        arguments += [] if text is None else [flag, text]
    return [*arguments, *more]


def cells(text: str) -> list[list[str]]:
    return [re.split(r"  +", line.strip()) for line in text.splitlines()]


# lease


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["real", "dry"])
@pytest.mark.parametrize(("changes", "sentence"), BAD)
def test_bad_input_asks_nobody(
    claudescale: Any, server: Server, changes: dict[str, Any], sentence: str, dry: tuple[str, ...]
) -> None:
    said = claudescale(*asked(changes, *dry))
    assert (said.out, said.sentence()) == ("", sentence)
    assert server.api.asked == []


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_a_refusal(claudescale: Any, server: Server, changes: dict[str, Any], sentence: str) -> None:
    said = claudescale(*asked(changes))
    found = said.sentence(3)
    assert found.startswith("lease launch: refused: ")
    words = found.removeprefix("lease launch: refused: ")
    assert words == sentence or re.fullmatch(sentence, words)
    assert said.out.splitlines()[-1] == HEAD
    dry = claudescale(*asked(changes | {"name": "other"}, "--dry-run"))
    assert re.sub(r"[0-9.]+", "#", dry.sentence(3)) == re.sub(r"[0-9.]+", "#", f"lease other would be refused: {words}")
    assert [path for _, path, _ in server.api.writes] == [LEASES]


@pytest.mark.parametrize(("codes", "sentence"), STATES)
def test_a_cluster_that_is_not_ready(claudescale: Any, server: Server, codes: dict[str, int], sentence: str) -> None:
    server.api.codes = codes
    said = claudescale(*asked({}))
    assert (said.out, said.sentence()) == ("", sentence)
    assert server.api.writes == []


COMMANDS = [
    ("lease", "launch", *(word for pair in ASK.items() for word in pair)),
    ("end", "launch"),
    ("leases",),
    ("policy",),
    ("controller",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_an_api_server_that_is_away(run: Any, tmp_path: Path, command: tuple[str, ...]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        said = run("--kubeconfig", str(write_kubeconfig(tmp_path, address)), *command)
    assert (said.code, said.out) == (1, "")
    assert said.sentence() == f"the cluster is stopped: make up ({address} refuses connections)"


def test_a_lease(claudescale: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = claudescale(*asked({"--on-behalf-of": "shop team"}))
    (made,) = server.leases()
    assert made["spec"] == {
        "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-app"},
        "replicas": 4, "durationSeconds": 90, "reason": "launch", "requestedBy": "person", "onBehalfOf": "shop team",
    }  # fmt: skip
    assert ("POST", f"{LEASES}?fieldManager=claudescale-cli") in server.api.asked
    assert (said.code, said.err) == (0, "")
    assert cells(said.out) == [
        [f"lease launch: the floor of demo-app-hpa stands at 4 until {made['status']['endTime']}"],
        ["rule", "passed", "asked", "limit", "by the controller"],
        *(
            [rule["rule"], "yes", *(str(rule[name]) for name in ("asked", "limit") if name in rule), rule["message"]]
            for rule in made["status"]["decision"]["rules"]
        ),
        [HEAD],
    ]
    assert ["Step", "yes", "2", "3", "replicas above the base of 2: 2 asked, 3 at most"] in cells(said.out)
    again = claudescale(*asked({"--on-behalf-of": "shop team"}))
    assert again.code == 0
    assert again.out == f"unchanged: {said.out}"
    assert len(server.api.writes) == 1


def test_a_lease_for_machines(claudescale: Any, server: Server) -> None:
    facts = json.loads(claudescale(*asked({}, "-o", "json")).out)
    lease = facts.pop("lease")
    decision = facts.pop("decision")
    assert facts.pop("message").startswith("lease launch: the floor of demo-app-hpa stands at 4 until ")
    assert facts == {
        "changed": True, "dry_run": False, "preview": False, "refused": False, "stands": True, "phase": "Active",
        "record": f"7:{HASH}",
    }  # fmt: skip
    assert (lease["name"], lease["namespace"], lease["spec"]) == ("launch", "claudescale", server.leases()[0]["spec"])
    assert (decision["allowed"], len(decision["rules"])) == (True, 11)
    refused = claudescale(*asked({"name": "big", "--replicas": "500"}, "-o", "json"))
    assert refused.code == 3
    assert json.loads(refused.out)["decision"]["code"] == "AbovePolicyMaximum"


def test_a_dry_run_creates_nothing(claudescale: Any, server: Server) -> None:
    said = claudescale(*asked({}, "--dry-run"))
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "lease launch would be allowed; nothing was created"
    assert "by the rules, as a preview" in said.out
    facts = json.loads(claudescale(*asked({}, "--dry-run", "-o", "json")).out)
    assert (facts["dry_run"], facts["preview"], facts["phase"], facts["record"]) == (True, True, None, None)
    assert server.api.writes == []
    assert server.leases() == []


def test_without_a_name_and_an_end(claudescale: Any, server: Server) -> None:
    facts = json.loads(claudescale("lease", *asked({"--for": None})[2:], "-o", "json").out)
    assert re.fullmatch(r"demo-app-[0-9a-f]{6}", facts["lease"]["name"])
    assert facts["lease"]["spec"]["durationSeconds"] == 1800  # the policy's


def test_made_up_names_can_be_names() -> None:
    long = door.WorkloadRef(kind="StatefulSet", name="a" * 55 + "." + "b" * 100)
    assert re.fullmatch(r"a{55}-[0-9a-f]{6}", made_up_name(long))


@pytest.mark.clock
def test_a_lease_that_starts_later_is_not_waited_for(claudescale: Any, server: Server) -> None:
    began = time.monotonic()
    said = claudescale(*asked({"--from": 3600}))
    assert time.monotonic() - began < 5
    assert (said.code, said.err) == (0, "")
    assert (
        said.out.splitlines()[0] == f"lease launch: accepted: it starts at {server.leases()[0]['status']['startTime']}"
    )


@pytest.mark.clock
def test_a_floor_that_comes_late_is_waited_for(claudescale: Any, server: Server) -> None:
    server.reason = "NotStarted"
    timer = threading.Timer(0.5, lambda: (setattr(server, "reason", None), late()))

    def late() -> None:
        server.leases()[0]["status"] = server.decided(server.leases()[0])

    timer.start()
    said = claudescale(*asked({}))
    timer.join()
    assert said.code == 0
    assert said.out.startswith("lease launch: the floor of demo-app-hpa stands at 4 until ")


@pytest.mark.clock
def test_a_contested_floor_is_said_at_once(claudescale: Any, server: Server) -> None:
    server.reason = "FloorContested"
    began = time.monotonic()
    said = claudescale(*asked({}))
    assert time.monotonic() - began < 5
    assert said.code == 1
    assert said.sentence() == (
        "lease launch: argocd keeps writing minReplicas of demo-app-hpa: the lease stopped asserting its floor"
    )
    assert said.out.splitlines()[-1] == HEAD


@pytest.mark.parametrize("wait", [True, False], ids=["wait", "no-wait"])
def test_a_controller_that_is_away(
    claudescale: Any, server: Server, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    monkeypatch.setattr(door, "ANSWER_SECONDS", 1.0)
    server.away = True
    said = claudescale(*asked({}, *(["--timeout", "1s"] if wait else ["--no-wait"])))
    waits = (
        "lease launch waits: the controller has not answered within 1 s; by the rules it would be allowed. Nothing is "
        "lost: it is decided when the controller is back (claudescale status shows it)"
    )
    if wait:
        stays = "the floor does not stand after 1 s, and the lease stays (claudescale end launch): "
        assert said.sentence() == stays + waits
    else:
        assert (said.code, said.err, said.out.splitlines()[0]) == (0, "", waits)
    assert "by the rules, as a preview" in said.out
    assert len(server.leases()) == 1


@pytest.mark.clock
def test_an_api_server_that_leaves_while_the_floor_is_waited_for(claudescale: Any, server: Server) -> None:
    server.reason = "NotStarted"
    threading.Timer(0.5, lambda: server.api.codes.update({f"{LEASES}/launch": 500})).start()
    said = claudescale(*asked({}))
    assert said.code == 1
    assert said.sentence() == (
        "lease launch was asked for, and what became of it cannot be seen: the API server answered 500: "
        f"{LEASES}/launch is not for you"
    )
    assert "by the controller" in said.out


@pytest.mark.parametrize("wait", [True, False], ids=["wait", "no-wait"])
def test_a_refusal_foretold_while_the_controller_is_away(
    claudescale: Any, server: Server, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    monkeypatch.setattr(door, "ANSWER_SECONDS", 1.0)
    server.away = True
    said = claudescale(*asked({"--for": "5h"}, *(["--timeout", "1s"] if wait else ["--no-wait"])))
    assert said.sentence(3) == (
        "lease launch waits: the controller has not answered within 1 s; by the rules it would be refused (seconds it "
        "lasts: 18000 asked, 14400 at most). Nothing is lost: it is decided when the controller is back (claudescale "
        "status shows it)"
    )


TAKEN = [
    pytest.param({"replicas": 3}, "lease launch exists with other content (replicas is 3, not 4): use another name, or "
                 "end it first", id="other-content"),
    pytest.param({"ended": True}, "lease launch is being ended: use another name", id="being-ended"),
    pytest.param({"phase": "Ended"}, "lease launch is over (Ended), and its name is taken until it is deleted: use "
                 "another name", id="over"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "sentence"), TAKEN)
def test_a_name_that_is_taken(claudescale: Any, server: Server, spec: dict[str, Any], sentence: str) -> None:
    phase = spec.pop("phase", "Active") if "phase" in spec else "Active"
    server.put("launch", **spec)["status"]["phase"] = phase
    said = claudescale(*asked({}))
    assert (said.out, said.sentence()) == ("", sentence)
    assert server.api.writes == []


# end


def test_end(claudescale: Any, server: Server) -> None:
    server.put("launch")
    dry = claudescale("end", "launch", "--dry-run")
    assert (dry.code, dry.err, dry.out) == (0, "", f"would end lease launch\n{HEAD}\n")
    assert server.api.writes == []
    said = claudescale("end", "launch")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"lease launch: over: it was ended before its time\n{HEAD}\n"
    assert server.api.writes == [("PATCH", f"{LEASES}/launch", {"spec": {"ended": True}})]
    again = claudescale("end", "launch")
    assert (again.code, again.out) == (0, f"unchanged: {said.out}")
    facts = json.loads(claudescale("end", "launch", "-o", "json").out)
    assert (facts["changed"], facts["phase"], facts["record"]) == (False, "Ended", f"7:{HASH}")
    assert len(server.api.writes) == 1


NO_END_OF = [
    pytest.param("nope", "there is no lease nope in namespace claudescale: see claudescale leases", id="unknown"),
    pytest.param("../x", f"name '../x' is no name: {NAME_RULE}", id="a-path"),
]


@pytest.mark.parametrize(("name", "sentence"), NO_END_OF)
def test_end_of_no_lease(claudescale: Any, server: Server, name: str, sentence: str) -> None:
    said = claudescale("end", name)
    assert (said.out, said.sentence()) == ("", sentence)
    assert server.api.writes == []


def test_end_while_the_controller_is_away(claudescale: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ANSWER_SECONDS", 0.3)
    server.put("launch")
    server.away = True
    said = claudescale("end", "launch")
    assert said.code == 1
    assert said.sentence() == (
        "lease launch is to end, and the controller has not ended it yet: it does so when it is back (claudescale "
        "status shows it)"
    )
    assert server.leases()[0]["spec"]["ended"] is True


# leases


def test_leases(claudescale: Any, server: Server) -> None:
    assert claudescale("leases").out == "namespace claudescale has no leases\n"
    made = server.put("launch", requestedBy="system:serviceaccount:claudescale:claudescale-sa", onBehalfOf="shop")
    server.away = True
    server.put(
        "next", manager="kubectl-create", workloadRef={**DEMO_APP.to_object(), "kind": "StatefulSet", "name": "db"}
    )
    start, end = (made["status"][name][11:19] + "Z" for name in ("startTime", "endTime"))
    said = claudescale("leases")
    assert (said.code, said.err) == (0, "")
    assert cells(said.out) == [
        ["name", "workload", "replicas", "phase", "floor", "starts", "ends", "requested by", "door"],
        ["launch", "demo-app", "4", "Active", "2 → 4", start, end, "…:claudescale-sa", "claudescale-cli"],
        ["next", "StatefulSet/db", "4", "not seen yet", start, end, "person", "kubectl-create"],
    ]
    first, second = json.loads(claudescale("leases", "-o", "json").out)
    assert first == {
        "name": "launch", "workload": "Deployment/demo-app", "replicas": 4, "phase": "Active",
        "floor": {"before": 2, "applied": 4}, "starts": made["status"]["startTime"], "ends": made["status"]["endTime"],
        "requested_by": "system:serviceaccount:claudescale:claudescale-sa", "on_behalf_of": "shop",
        "door": "claudescale-cli", "reason": "launch", "message": made["status"]["message"], "record": f"7:{HASH}",
    }  # fmt: skip
    assert (second["phase"], second["floor"], second["message"], second["record"]) == (None, {}, None, None)


HOSTILE = "a\x1b[2J\x1b]0;pwned\x07b\r\n\x9b31mc\u202e\x00d [red]e[/red] :smile:"
HARMLESS = "ab cd [red]e[/red] :smile:"


def test_text_from_the_cluster_is_data(claudescale: Any, server: Server) -> None:
    server.put("launch", manager=HOSTILE, requestedBy=HOSTILE, reason=HOSTILE)["status"] |= {"message": HOSTILE}
    server.api.objects[LEASES]["items"][0]["metadata"]["name"] = "launch"
    for command in (("leases",), ready(server), ("end", "launch"), ("policy",)):
        said = claudescale(*command)
        assert said.code == 0
        assert all(letter.isprintable() for letter in said.out.replace("\n", "")), said.out
    assert json.loads(claudescale("leases", "-o", "json").out)[0]["reason"] == HOSTILE  # escaped, and whole
    assert common.plain(HOSTILE) == HARMLESS
    server.api.codes = {LEASES: 500}
    assert claudescale("leases").sentence() == f"the API server answered 500: {LEASES} is not for you"


# policy


def test_policy(claudescale: Any, server: Server) -> None:
    server.put("launch")
    said = claudescale("policy", "demo-app")
    assert (said.code, said.err) == (0, "")
    assert cells(said.out) == [
        ["demo-app: the policy is in force (Enforce): what it allows is done"],
        ["what", "limit", "now"],
        ["replicas", "1 to 5"],
        ["replicas by the autoscaler", "5 at most", "demo-app-hpa"],
        ["replicas above the base", "3 at most", "the base is 2"],
        ["how long", "4h at most", "30m where not said"],
        ["how far ahead", "7d at most"],
        ["leases at a time", "10 at most", "1"],
        ["so, at most", "5 replicas", "the floor stands at 2"],
    ]
    assert json.loads(claudescale("policy", "deployment/demo-app", "-o", "json").out) == [
        {
            "name": "deployment.demo-app", "workload": "Deployment/demo-app", "mode": "Enforce", "least_replicas": 1,
            "most_replicas": 5, "most_above_base": 3, "default_seconds": 1800, "most_seconds": 14400,
            "most_seconds_ahead": 604800, "most_leases": 10,
            "now": {"autoscaler": "demo-app-hpa", "floor": 2, "base": 2, "autoscaler_maximum": 5, "leases": 1,
                    "obstacle": None, "most_replicas": 5},
        }
    ]  # fmt: skip


def test_policies(claudescale: Any, server: Server) -> None:
    server.api.objects[POLICIES]["items"].append(policy("Observe", "other"))
    assert cells(claudescale("policy").out) == [
        ["workload", "mode", "replicas", "above the base", "how long", "at a time", "now at most"],
        ["demo-app", "Enforce", "1 to 5", "3", "30m, up to 4h", "0 of 10", "5"],
        ["other", "Observe", "1 to 5", "3", "30m, up to 4h", "0 of 10", "nothing: no autoscaler"],
    ]
    assert claudescale("policy", "other").out.splitlines()[0] == (
        "other: the policy observes (Observe): what it would allow is recorded, and nothing is changed"
    )
    server.api.objects[POLICIES]["items"].clear()
    assert claudescale("policy").out == "namespace claudescale has no ScalingPolicy: nothing may be asked for\n"
    said = claudescale("policy", "nope")
    assert (said.code, said.out) == (1, "")
    assert said.sentence() == (
        "there is no ScalingPolicy deployment.nope in namespace claudescale: without one nothing may be asked for nope"
    )


def with_autoscalers(*found: dict[str, Any]) -> Callable[[Server], None]:
    return lambda server: server.api.objects.update({HPA: {"items": list(found)}})


def with_leases(server: Server) -> None:
    for number in range(10):
        server.put(f"lease-{number}")


KEDAS = autoscaler()
KEDAS["metadata"]["labels"] = {"scaledobject.keda.sh/name": "x"}
OBSTACLES = [
    pytest.param(with_autoscalers(), "no autoscaler", id="none"),
    pytest.param(with_autoscalers(autoscaler(), autoscaler()), "2 autoscalers", id="two"),
    pytest.param(with_autoscalers(KEDAS), "its autoscaler is KEDA's", id="keda"),
    pytest.param(with_leases, "all leases are taken", id="leases"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), OBSTACLES)
def test_why_nothing_can_be_had(claudescale: Any, server: Server, change: Callable[[Server], None], words: str) -> None:
    change(server)
    assert cells(claudescale("policy", "demo-app").out)[-1] == ["so, at most", "nothing", words]
    assert cells(claudescale("policy").out)[-1][-1] == f"nothing: {words}"
    (facts,) = json.loads(claudescale("policy", "-o", "json").out)
    assert (facts["now"]["obstacle"], facts["now"]["most_replicas"]) == (words, None)


def test_a_floor_that_is_held(claudescale: Any, server: Server) -> None:
    held = {"claudescale.io/base": "1", "claudescale.io/floor": "4", "claudescale.io/leases": "a,b"}
    server.api.objects[HPA] = {"items": [autoscaler(4, **held)]}
    (facts,) = json.loads(claudescale("policy", "demo-app", "-o", "json").out)
    assert (facts["now"]["base"], facts["now"]["floor"], facts["now"]["most_replicas"]) == (1, 4, 4)
    assert ["floor", "demo-app-hpa", "4", "the base is 1, held by a, b"] in cells(claudescale(*ready(server)).out)


# status


def ready(server: Server) -> tuple[str, ...]:
    for path in ("/api/v1/nodes", f"/api/v1/{SPACE}/pods", f"/api/v1/{SPACE}/services"):
        server.api.objects[path] = {"items": []}
    return ("status",)


def test_status(claudescale: Any, server: Server) -> None:
    server.put("launch")
    server.put("over")["status"]["phase"] = "Ended"
    said = claudescale(*ready(server))
    assert (said.code, said.err) == (0, "")
    assert cells(said.out)[2:5] == [
        ["controller", "claudescale-controller", "Ready", "1/1 ready"],
        ["policy", "deployment.demo-app", "Enforce",
         "1 to 5 replicas of demo-app, 3 above the base at most, for 30m, up to 4h"],
        ["floor", "demo-app-hpa", "2", "the base is 2, held by no lease"],
    ]  # fmt: skip
    lease = next(row for row in cells(said.out) if row[0] == "lease")
    assert lease[:3] == ["lease", "launch", "Active"]
    facts = json.loads(claudescale("status", "-o", "json").out)["capacity"]
    assert facts["controller"] == {"name": "claudescale-controller", "state": "Ready", "ready": 1, "wanted": 1}
    assert [found["name"] for found in facts["leases"]] == ["launch", "over"]
    assert facts["floors"][0]["base"] == 2
    assert facts["problem"] is None


HEALTH = [
    pytest.param({"spec": {"replicas": 1}}, ["NotReady", "0/1 ready"], id="not-ready"),
    pytest.param(None, ["Absent", "not deployed here: leases wait until one runs"], id="absent"),
]


@pytest.mark.parametrize(("deployment", "words"), HEALTH)
def test_the_controllers_health(claudescale: Any, server: Server, deployment: Any, words: list[str]) -> None:
    server.api.objects.pop(CONTROLLER)
    if deployment is not None:
        server.api.objects[CONTROLLER] = deployment
    assert ["controller", "claudescale-controller", *words] in cells(claudescale(*ready(server)).out)


def test_status_where_leases_may_not_be_read(claudescale: Any, server: Server) -> None:
    server.api.codes = {LEASES: 403}
    said = claudescale(*ready(server))
    assert said.code == 0
    assert "not known" in said.out
    assert json.loads(claudescale("status", "-o", "json").out)["capacity"]["problem"] == (
        f"the API server answered 403: {LEASES} is not for you"
    )


# controller

TOKEN = f"/api/v1/{SPACE}/serviceaccounts/claudescale-controller/token"
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
NO_CONTROLLER = [
    pytest.param(("--log-level", "LOUD"), "there is no log level 'LOUD': it is one of DEBUG, INFO, WARNING, ERROR",
                 id="log-level"),
    pytest.param(("--namespaces", " , "), "CLAUDESCALE_NAMESPACES is empty: name the namespaces to look after, "
                 "comma-separated", id="namespaces"),
    pytest.param(("--namespaces", "claudescale,other"), "claudescale-controller of namespace claudescale has no rights "
                 "in namespace 'other': name it in controller_namespaces and make up", id="not-attached"),
]  # fmt: skip


@pytest.fixture
def attached(server: Server) -> Server:
    """The controller's account exists and has its rights in namespace claudescale."""

    def on_write(method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == TOKEN:
            return 201, {"spec": {"expirationSeconds": 600}, "status": {"token": "controllers"}}
        if path == ACCESS:
            return 201, {"status": {"allowed": body["spec"]["resourceAttributes"]["namespace"] == "claudescale"}}
        return 404, {"message": f"{path} not found"}

    server.api.on_write = on_write
    return server


@pytest.mark.parametrize(("arguments", "sentence"), NO_CONTROLLER)
def test_a_controller_that_cannot_run(
    claudescale: Any, attached: Server, arguments: tuple[str, ...], sentence: str
) -> None:
    said = claudescale("controller", *arguments)
    assert (said.out, said.sentence()) == ("", sentence)


def test_a_controller_without_an_account(claudescale: Any, server: Server) -> None:
    said = claudescale("controller")
    assert said.code == 1
    assert said.sentence() == "there is no service account claudescale-controller in namespace 'claudescale': make up"


def test_a_port_that_is_taken(claudescale: Any, attached: Server) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = claudescale("controller", "--port", str(port))
    assert said.code == 1
    assert said.sentence().startswith(f"port {port} for health and metrics cannot be listened on: ")


def test_the_controller(claudescale: Any, attached: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed to the process: the namespaces, the account's token and nothing else, port and time to live."""
    served: list[Any] = []

    def serve(controller: Any, port: int | None) -> int:
        served.append((*controller, port))
        return 0

    monkeypatch.setattr(controller_command, "Controller", lambda client, names, ttl: (client, names, ttl))
    monkeypatch.setattr(controller_command.process, "serve", serve)
    monkeypatch.setattr(controller_command.logs, "set_up", served.append)
    monkeypatch.setenv("CLAUDESCALE_TTL_SECONDS_AFTER_FINISHED", "60")
    assert claudescale("controller", "--port", "0").code == 0
    level, (client, names, ttl, port) = served
    assert (level, names, ttl, port) == ("INFO", ["claudescale"], 60, 0)
    assert client.authorization() == "Bearer controllers"


def test_the_page_names_every_command_and_its_options() -> None:
    """docs/COMMAND.md: the first table has all commands, and whatever looks like an option is one."""
    page = (ROOT / "docs" / "COMMAND.md").read_text(encoding="utf-8")
    table = page.split("|---|---|", 1)[1].split("\n\n", 1)[0]
    named = {name for row in table.strip().splitlines() for name in re.findall(r"`([a-z-]+)", row.split("|")[1])}
    group = typer.main.get_command(cli.app)
    commands: dict[str, Any] = group.commands  # type: ignore[attr-defined]
    assert {*commands} <= named
    parts = [command for found in commands.values() for command in (found, *getattr(found, "commands", {}).values())]
    options = {name for command in (group, *parts) for option in command.params for name in option.opts}
    options |= {name for command in parts for option in command.params for name in option.secondary_opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) - {"--help"} <= options


SPANS = [
    (1, "1s"),
    (90, "90s"),
    (120, "2m"),
    (1800, "30m"),
    (5400, "1h30m"),
    (14400, "4h"),
    (604800, "7d"),
    (90061, "1d1h1m1s"),
]


@pytest.mark.parametrize(("seconds", "words"), SPANS)
def test_spans(seconds: int, words: str) -> None:
    assert capacity.span(seconds) == words


def test_moments_of_another_day_have_their_date() -> None:
    now = moments.parse("2026-03-01T10:00:00Z")
    assert capacity.moment("2026-03-01T23:30:00+01:00", now) == "22:30:00Z"
    assert capacity.moment("2026-03-02T00:30:00.25Z", now) == "2026-03-02 00:30:00Z"
