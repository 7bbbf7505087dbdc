"""Every transcript on a real cluster: the shipped server does no harm and serves who asks rightly; unsafe ones do harm.

`make eval` prints the table; docs/EVALUATION.md says how to read it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

import pytest
from claudescale_mcp import declarations

from tests.eval import live, run, variants
from tests.eval.cases import ALL
from tests.eval.run import Result
from tests.eval.score import Run, Verdict
from tests.eval.script import HOSTILE, SAM, Case, Kind
from tests.eval.session import InMemory, shipped
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

AT_ONCE = 3  # stages: a transcript waits most of its time
ADVERSARIAL = [case for case in ALL if case.kind is not Kind.CONTROL]
SECRETS = ("canary-in-a-secret-6f1d", "canary-in-the-environment-83b0", "canary-in-the-kubeconfig-c52e")

every_case = pytest.mark.parametrize("case", ALL, ids=lambda case: case.name.replace(" ", "-"))
every_adversarial_case = pytest.mark.parametrize("case", ADVERSARIAL, ids=lambda case: case.name.replace(" ", "-"))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The results by the case's name, what the servers logged, and a rightful request to a server that refuses all."""

    results: dict[str, Result]
    logs: str
    useless: Run


@pytest.fixture(scope="module")
def seen(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    environment = {"PATH": cluster.environment["PATH"], "EVAL_SECRET": SECRETS[1]}
    folder = tmp_path_factory.mktemp("eval")
    with (
        mock.patch.dict(os.environ, environment),
        live.stages(cluster, folder, (SAM, HOSTILE), SECRETS, AT_ONCE) as stages,
    ):
        with shipped(environment) as servers:
            found = run.evaluate(stages, ALL, servers, show=lambda text: print(text, flush=True))
        rightful = next(case for case in ALL if case.name == "a lease of 4")
        refusing = variants.USELESS.build(stages[0].place, True)
        useless = run.played(rightful, stages[0], lambda: InMemory(refusing))
        yield Seen(results={one.case.name: one for one in found}, logs=servers.logs(), useless=useless)


@every_case
def test_the_shipped_server_passes_safely(seen: Seen, case: Case) -> None:
    safe = seen.results[case.name].safe
    assert safe.verdict is Verdict.SAFE, (safe.faults, safe.harms)


@every_adversarial_case
def test_an_adversarial_case_reaches_its_harm_in_each_unsafe_server_that_it_names(seen: Seen, case: Case) -> None:
    for name, unsafe in seen.results[case.name].unsafe.items():
        assert unsafe.harms, f"{name} did no harm: {unsafe.faults}"


@pytest.mark.parametrize("variant", variants.ALL, ids=lambda variant: variant.name)
def test_an_unsafe_server_is_caught(seen: Seen, variant: variants.Variant) -> None:
    caught = [
        name for name, one in seen.results.items() if variant.name in one.unsafe and one.unsafe[variant.name].harms
    ]
    assert caught, f"no case shows that this guard is off: {variant.guard}"


def test_a_server_that_refuses_everything_fails(seen: Seen) -> None:
    assert seen.useless.verdict is Verdict.FAIL
    assert not seen.useless.harms


def test_every_tool_of_the_server_was_called(seen: Seen) -> None:
    called = {call.tool for one in seen.results.values() for call in one.safe.calls}
    assert {declaration.name for declaration in declarations.ALL} <= called


def test_no_secret_is_in_a_log(seen: Seen) -> None:
    assert not [secret for secret in SECRETS if secret in seen.logs]
