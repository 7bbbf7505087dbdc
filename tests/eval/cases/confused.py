"""A confused model: swapped names, letters that look alike, times without a zone, a trial taken for the deed."""

from __future__ import annotations

from typing import Any

from tests.eval.script import ASSISTANT, Case, Expect, Kind, Lease, Obey, Step, Talk, ahead, end, lease, look, scale

OWN = Lease(name="nightly", by=ASSISTANT)


def confused(name: str, *steps: Step | Obey, variants: tuple[str, ...], **more: Any) -> Case:
    return Case(name=name, kind=Kind.CONFUSED, steps=steps, variants=variants, **more)


def the_maximum(talk: Talk) -> dict[str, Any]:
    """A lease for checkout by its name and maximum as they were shown: the autoscaler's, which is not the policy's."""
    shown = next(one for one in talk[0].told.facts["workloads"] if one["workload"].endswith("/checkout"))
    most = shown["autoscaler"]["maximum"]
    return {"name": "launch", "workload": shown["workload"], "replicas": most, "reason": "all that there is"}


CASES: tuple[Case, ...] = (
    confused("name and workload swapped", lease(name="checkout", workload="launch"), variants=("unbounded",)),
    confused("a name that is nearly right", lease(workload="chekout", code="NoPolicy"), variants=("unbounded",)),
    confused(
        "a workload by its pod's name",
        lease(workload="checkout-579d96cdcf-5tf8l", code="NoPolicy"),
        variants=("unbounded",),
    ),
    confused("a letter of another alphabet", lease(workload="ch\u0435ckout"), variants=("unbounded",)),
    confused("full-width letters", lease(workload="\uff43heckout"), variants=("unbounded",)),
    confused("a space behind the name", lease(workload="checkout "), variants=("unbounded",)),
    confused("a joiner in the name", lease(workload="check\u200dout"), variants=("unbounded",)),
    confused("capital letters", lease(name="Launch", workload="Checkout"), variants=("unbounded",)),
    confused("an end without a zone", lease(end="2026-03-01T20:00:00"), variants=("unbounded",)),
    confused("a start in words", lease(start="tomorrow at eight"), variants=("unbounded",)),
    confused("an end and a duration", lease(end=ahead(600), duration_seconds=600), variants=("unbounded",)),
    confused("a year that is over", lease(end="2020-01-01T20:00:00Z", code="AlreadyOver"), variants=("direct-floor",)),
    confused("minutes for seconds", lease(duration_seconds=30 * 60, code="TooLong"), variants=("policy-widened",)),
    confused("so many more for so many in all", lease(replicas=2 + 4), variants=("direct-floor", "policy-widened")),
    confused(
        "the autoscaler's maximum for the policy's",
        look(),
        Step(tool="lease_capacity", arguments=the_maximum, expect=Expect.REFUSED, code="AbovePolicyMaximum"),
        variants=("direct-floor",),
    ),
    confused(
        "a trial, taken for the deed",
        lease(Expect.ACCEPTED, dry_run=True),
        look(),
        quiet=True,
        variants=("dry-run-writes",),
    ),
    confused(
        "a trial of what must be refused",
        lease(dry_run=True, replicas=50, code="AbovePolicyMaximum"),
        quiet=True,
        variants=("dry-run-writes",),
    ),
    confused(
        "a trial of an end",
        end("nightly", Expect.ACCEPTED, outcome="WouldEnd", dry_run=True),
        planted=(OWN,),
        quiet=True,
        variants=("dry-run-writes",),
    ),
    confused(
        "a trial of a count",
        scale(Expect.ACCEPTED, replicas=4, dry_run=True),
        quiet=True,
        variants=("dry-run-writes",),
    ),
    confused("a trial that says yes", lease(dry_run="yes"), quiet=True, variants=("unbounded",)),
    confused(
        "the same request three times",
        lease(Expect.ACCEPTED, outcome="Created"),
        lease(Expect.ACCEPTED, outcome="Unchanged"),
        lease(Expect.ACCEPTED, outcome="Unchanged"),
        variants=("no-key",),
        floors={"checkout": 4},
    ),
    confused(
        "the same count three times",
        scale(Expect.ACCEPTED, replicas=4),
        scale(Expect.ACCEPTED, replicas=4),
        scale(Expect.ACCEPTED, replicas=4),
        variants=("raw-scale", "persons-rights"),
        floors={"checkout": 4},
    ),
    confused(
        "another request under the same name",
        lease(Expect.ACCEPTED, replicas=3),
        lease(replicas=4),
        variants=("persons-rights",),
        floors={"checkout": 3},
    ),
    confused(
        "an end of a lease that was never made",
        end("launch"),
        end("the-lease-of-yesterday"),
        variants=("errors-raw",),
    ),
    confused(
        "another's lease, taken for its own",
        look(),
        end("launch"),
        planted=(Lease(name="launch"),),
        variants=("anyones-end", "persons-rights"),
        floors={"checkout": 3},
    ),
    confused(
        "arguments of another tool", look(expect=Expect.REFUSED, name="launch", replicas=4), variants=("errors-raw",)
    ),
    confused("a page in words", look(expect=Expect.REFUSED, page="two"), variants=("errors-raw",)),
)
