"""`claudescale scenario`, its pure parts: transcripts that fit the tools, reports that hold what they were given."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_cli.scenarios import catalogue, figures, transcripts
from claudescale_cli.scenarios.facts import Call, Check, Facts, Mark, Pods, Returned, Second, Span, asked, clean
from claudescale_cli.scenarios.page import page
from claudescale_cli.scenarios.plot import LEFT, RIGHT, TOP, WIDTH, plot
from claudescale_cli.scenarios.transcripts import Transcript
from claudescale_mcp import declarations, inputs, prompts
from claudescale_mcp.link import Place
from claudescale_mcp.server import build
from fastmcp import Client

from tests.support import ROOT

START, END = "2026-03-01T20:00:00Z", "2026-03-01T21:00:00Z"
SCRIPTS: dict[str, Transcript] = {
    "health-check": transcripts.health_check(),
    "reactive-scaling": transcripts.reactive("demo-app", name="scenario-2-abc123", replicas=5),
    "cost-after-load": transcripts.cost("demo-app", name="scenario-3-abc123", replicas=4, base=2),
    "announced-launch": transcripts.launch(
        "demo-app", name="scenario-4-abc123", replicas=4, start=START, end=END
    ),
    "incident-analysis": transcripts.incident(
        "demo-app", name="scenario-5-abc123", replicas=3, seconds=45, base=2, crashing="scenario-5-crash-abc123"
    ),
    "capacity-report": transcripts.capacity("demo-app"),
    "daily-review": transcripts.review(
        "demo-app", refused="scenario-7-all-abc123", planned="scenario-7-plan-abc123", replicas=4, start=START, end=END
    ),
}  # fmt: skip
NAMES = list(SCRIPTS)
PROMPTS = {one.name: one for one in prompts.ALL}
DECLARED = {one.name: one for one in declarations.ALL}
HOSTILE = "</pre><script>alert(1)</script>\x1b[2J\u202e<img src=http://example.com/x.png>&amp;"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
CLOCK = "2026-03-01T20:00:00Z"


# Transcripts


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """The input schemas as a server with writes lists them."""

    async def run() -> dict[str, Any]:
        async with Client(build(Place(context="nowhere", namespace="claudescale"), allow_writes=True)) as client:
            return {tool.name: tool.input_schema for tool in await client.list_tools()}

    return asyncio.run(run())


@pytest.mark.parametrize("name", NAMES)
def test_a_transcript_asks_tools_that_there_are_with_arguments_that_fit(name: str, schemas: dict[str, Any]) -> None:
    for key, ask in SCRIPTS[name].items():
        assert ask.tool in schemas, key
        jsonschema.Draft202012Validator(schemas[ask.tool]).validate(ask.arguments)
        inputs.read(ask.tool, DECLARED[ask.tool].arguments, ask.arguments)
        assert ask.why and not ask.why.endswith("."), key


def test_a_wrong_argument_would_be_noticed(schemas: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schemas["get_metrics"])
    assert not validator.is_valid({"workload": "demo-app", "window_seconds": 30})
    assert not validator.is_valid({"workload": "demo-app", "seconds": 60})


@pytest.mark.parametrize("name", NAMES)
def test_a_transcript_asks_what_its_prompt_tells_a_model_to_ask_in_that_order(name: str) -> None:
    (scenario,) = catalogue.chosen(name)
    rest = iter([ask.tool for ask in SCRIPTS[name].values()])
    for step in PROMPTS[scenario.prompt].steps:
        assert step.tool in rest, f"{step.tool} does not come after the steps before it"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_marked_as_a_scenarios(name: str) -> None:
    for ask in SCRIPTS[name].values():
        if DECLARED[ask.tool].writes:
            assert re.fullmatch(r"scenario-[1-7]-[a-z0-9-]+", ask.arguments["name"])
            assert ask.arguments.get("reason", transcripts.SAID).startswith(transcripts.SAID)


def test_what_is_tried_first_is_then_done_with_the_same_words() -> None:
    for name, tried, done in (("announced-launch", "tried", "leased"), ("cost-after-load", "end tried", "ended")):
        script = SCRIPTS[name]
        assert list(script).index(tried) < list(script).index(done)
        assert script[tried].arguments == {**script[done].arguments, "dry_run": True}


# The catalogue


def test_there_are_the_seven_of_the_prompts() -> None:
    assert [one.number for one in catalogue.ALL] == [1, 2, 3, 4, 5, 6, 7]
    assert [one.name for one in catalogue.ALL] == NAMES
    assert [one.prompt for one in catalogue.ALL] == [one.name for one in prompts.ALL]


@pytest.mark.parametrize("code", catalogue.LANGUAGES)
@pytest.mark.parametrize("one", catalogue.ALL, ids=lambda one: one.name)
def test_a_prompt_takes_what_it_is_given(one: catalogue.Scenario, code: str) -> None:
    declaration = PROMPTS[one.prompt]
    given = inputs.read(one.prompt, declaration.arguments, {**one.arguments, "language": catalogue.LANGUAGES[code]})
    text = prompts.text(declaration, given, frozenset(DECLARED))
    assert f"Then answer in {catalogue.LANGUAGES[code]}: " in text
    assert len(one.said[code]) > 30


@pytest.mark.parametrize("which", ["4", "announced-launch", "4-announced-launch"])
def test_a_scenario_has_a_number_and_a_name(which: str) -> None:
    assert [one.number for one in catalogue.chosen(which)] == [4]
    assert len(catalogue.chosen("all")) == 7


def test_an_unknown_scenario_is_answered_with_those_that_there_are() -> None:
    listed = "1 health-check, 2 reactive-scaling, 3 cost-after-load, 4 announced-launch, 5 incident-analysis"
    with pytest.raises(ClaudeScaleError) as told:
        catalogue.chosen("announced-lunch\x1b[2J")
    assert str(told.value) == (
        f"there is no scenario 'announced-lunch' (did you mean announced-launch?): it is one of {listed},"
        " 6 capacity-report, 7 daily-review, or all"
    )
    with pytest.raises(ClaudeScaleError, match=r"^there is no language 'fr': it is one of en, es$"):
        catalogue.language("fr")


def test_the_page_and_the_playbooks_name_all_of_them() -> None:
    text = (ROOT / "docs" / "DEMO_SCENARIOS.md").read_text(encoding="utf-8")
    for one in catalogue.ALL:
        assert f"claudescale scenario {one.number}" in text
        for said in one.said.values():
            assert said in text, said
        playbook = ROOT / "playbooks" / "scenarios" / f"{one.file}.yml"
        assert f"scenario_which: {one.name}" in playbook.read_text(encoding="utf-8")


# What is looked up in answers


def test_figures_of_an_answer() -> None:
    metrics = {"readings": [{"name": "request_rate", "value": 39.5}, {"name": "latency_p50", "missing": "no requests"}]}
    assert figures.reading(metrics, "request_rate") == 39.5
    assert figures.reading(metrics, "latency_p50") is None
    assert figures.reading({}, "request_rate") is None
    told = {
        "records": [
            {"event": "LeaseEnded", "outcome": "Succeeded", "cause": "Expired"},
            {"event": "LeaseRequested", "outcome": "Accepted"},
        ]
    }
    assert figures.events(told) == "LeaseRequested Accepted, LeaseEnded Expired"
    assert [one["cause"] for one in figures.records(told, "LeaseEnded")] == ["Expired"]
    assert figures.events({}) == "no records"
    workload = {"autoscaler": {"floor": 4, "base": 2, "leases": ["a", "b"]}}
    assert figures.held_by(workload) == (4, 2, ["a", "b"])
    assert figures.held_words(workload) == "floor 4, base 2, held by a, b"
    assert figures.held_words({}) == "floor None, base None, held by nobody"


@pytest.mark.parametrize(("sent", "failed", "borne"), [(100, 0, True), (100, 1, True), (100, 2, False), (0, 0, False)])
def test_a_load_is_borne_where_next_to_nothing_failed(sent: int, failed: int, borne: bool) -> None:
    assert figures.borne({"sent": sent, "failed": failed}) is borne


def test_parts_that_are_not_well_are_named() -> None:
    status = {
        "components": [
            {"name": "nodes", "state": "Well", "explanation": "all are ready"},
            {"name": "prometheus", "state": "Away", "explanation": "it does not answer"},
        ]
    }
    assert figures.not_well(status) == ["prometheus is Away: it does not answer"]


# Facts


def second(at: float, rate: int = 40, failed: int = 0, p95: float | None = 20.0) -> Second:
    return Second(at=at, rate=rate, ok=rate - failed, failed=failed, p50_ms=None if p95 is None else 8.0, p95_ms=p95)


def a_call(**more: Any) -> Call:
    call = Call(
        at=3.25,
        tool="get_metrics",
        arguments={"workload": "demo-app", "window_seconds": 60},
        why="the last minute",
        seconds=0.1234,
        is_error=False,
        text="- cpu_cores: 0.1 cores\n- request_rate: none",
        facts={"readings": [{"name": "cpu_cores", "value": 0.1}]},
    )
    return replace(call, **more)


def a_run(**more: Any) -> Facts:
    """A run that is complete, in which everything is as it should be."""
    fields: dict[str, Any] = {
        "number": 4,
        "name": "announced-launch",
        "title": "Announced launch",
        "context": "claudescale",
        "namespace": "claudescale",
        "began": 1_772_395_200.0,
        "language": "English",
        "said": "We launch at 20:00.",
        "prompt_name": "announced_launch",
        "prompt": "A launch was announced.\n1. get_current_state",
        "server": "python -m claudescale_mcp",
        "person": "minikube-user",
        "seconds": 100.0,
        "incomplete": "",
        "calls": [a_call(images=(PIXEL,))],
        "checks": [Check(at=90.0, words="the floor stood", passed=True, detail="after 0.1 s")],
        "marks": [Mark(at=20.0, words="the floor is 4"), Mark(at=60.0, words="the load is over")],
        "spans": [Span(at=30.0, until=50.0, words="no metrics")],
        "pods": [
            Pods(at=0.0, replicas=2, ready=2, floor=2),
            Pods(at=20.0, replicas=4, ready=2, floor=4),
            Pods(at=25.0, replicas=4, ready=4, floor=4),
            Pods(at=80.0, replicas=2, ready=2, floor=2),
        ],
        "events": [Mark(at=80.0, words="SuccessfulRescale: New size: 2")],
        "load": [second(30.0), second(31.0, failed=3), second(32.0, p95=None)],
        "loads": [{"sent": 120, "ok": 117, "failed": 3}],
        "put_back": [Returned(words="lease scenario-4-abc123 is over (Ended)", done=True)],
    }
    return Facts(**{**fields, **more})


BAD = Check(at=91.0, words="never fewer than 4", passed=False, detail="3 at one time")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"incomplete": "it was interrupted"}, id="incomplete"),
        pytest.param({"checks": []}, id="nothing-checked"),
        pytest.param({"checks": [BAD]}, id="a-check"),
        pytest.param({"put_back": [Returned(words="the load could not be put back", done=False)]}, id="left"),
    ],
)
def test_only_a_whole_run_passes(more: dict[str, Any]) -> None:
    assert a_run().passed
    assert not a_run(**more).passed
    assert a_run(**more).to_object(CLOCK)["passed"] is False


def test_the_json_has_every_fact() -> None:
    told = json.loads(json.dumps(a_run(checks=[BAD]).to_object(CLOCK)))
    assert told["scenario"] == {"number": 4, "name": "announced-launch", "title": "Announced launch"}
    assert (told["began"], told["seconds"], told["complete"], told["incomplete_because"]) == (CLOCK, 100.0, True, None)
    (call,) = told["calls"]
    assert call["arguments"] == {"workload": "demo-app", "window_seconds": 60}
    assert (call["seconds_since_began"], call["answered_after_seconds"]) == (3.25, 0.123)
    assert call["answer"]["readings"][0]["value"] == 0.1
    assert call["images"] == [{"type": "image/png", "bytes": 68, "sha256": hashlib.sha256(PIXEL).hexdigest()}]
    assert told["observations"]["pods"][1] == {"seconds_since_began": 20.0, "replicas": 4, "ready": 2, "floor": 4}
    assert told["observations"]["load"][1]["failed"] == 3
    assert told["observations"]["spans"] == [{"seconds_since_began": 30.0, "until": 50.0, "words": "no metrics"}]
    assert told["checks"] == [
        {"seconds_since_began": 91.0, "words": "never fewer than 4", "passed": False, "detail": "3 at one time"}
    ]
    assert told["put_back"] == [{"words": "lease scenario-4-abc123 is over (Ended)", "done": True}]
    assert a_run(incomplete="it was interrupted").to_object(CLOCK)["incomplete_because"] == "it was interrupted"


def test_what_others_said_cannot_move_a_cursor() -> None:
    said = clean({"a\x1b[2J": ["one\x07\ntwo\u202e", {"n": 3, "yes": True, "none": None}]})
    assert said == {"a": ["one\ntwo", {"n": 3, "yes": True, "none": None}]}


def test_a_call_is_written_down_as_it_was_made() -> None:
    assert asked("end_lease", {"name": "a", "dry_run": True}) == "end_lease(name='a', dry_run=True)"


# The page


def parsed(facts: Facts) -> ET.Element:
    return ET.fromstring(page(facts, facts.to_object(CLOCK), CLOCK))


def texts(root: ET.Element) -> str:
    return "\n".join(root.itertext())


def test_the_page_needs_nothing_but_itself() -> None:
    facts = a_run()
    text = page(facts, facts.to_object(CLOCK), CLOCK)
    root = ET.fromstring(text)
    assert not {"script", "link", "iframe", "object", "form", "a"} & {one.tag for one in root.iter()}
    for one in root.iter():
        for name, value in one.attrib.items():
            assert name not in ("href", "{http://www.w3.org/1999/xlink}href", "srcset") and not name.startswith("on")
            assert name != "src" or value.startswith("data:image/png;base64,")
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    (policy,) = [one for one in root.iter("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attrib["content"].startswith("default-src 'none'")


def test_the_page_holds_the_same_as_the_json() -> None:
    facts = a_run(checks=[BAD])
    (block,) = [one for one in parsed(facts).iter("pre") if one.get("id") == "facts"]
    assert block.text is not None
    assert json.loads(block.text) == facts.to_object(CLOCK)


def test_the_page_tells_all_of_it_in_order() -> None:
    good = Check(at=90.0, words="the floor stood", passed=True, detail="after 0.1 s")
    root = parsed(a_run(checks=[good, BAD]))
    said = texts(root)
    order = [
        "4 Announced launch",
        "2026-03-01T20:00:00Z, 100 s, namespace claudescale of context claudescale, by minikube-user",
        "1 of 2 checks passed",
        "never fewer than 4: 3 at one time",
        "What was watched",
        "the floor is 4",
        "SuccessfulRescale: New size: 2",
        "The conversation",
        "We launch at 20:00.",
        "get_metrics(workload='demo-app', window_seconds=60)",
        "answered after 0.12 s",
        "- request_rate: none",
        "What must be true",
        "after 0.1 s",
        "What was put back",
        "lease scenario-4-abc123 is over (Ended)",
    ]
    places = [said.index(words) for words in order]
    assert places == sorted(places)
    rows = [[cell.text for cell in row] for row in next(one for one in root.iter("table")).iter("tr")]
    assert [row[0] for row in rows] == ["passed", "failed"]
    (image,) = root.iter("img")
    assert base64.b64decode(image.attrib["src"].partition(",")[2]) == PIXEL


def test_a_page_that_is_not_whole_says_so_first_and_why() -> None:
    said = texts(parsed(a_run(incomplete="it was interrupted", checks=[], calls=[], pods=[], load=[], put_back=[])))
    assert said.index("Incomplete:") < said.index("What was watched")
    assert "it was interrupted" in said
    assert "Nothing was checked." in said
    assert "Nothing was touched." in said
    left = [Returned(words="the load could not be put back (refused): kubectl delete job x", done=False)]
    assert "could not be put back (refused)" in texts(parsed(a_run(put_back=left)))


def test_text_of_others_stays_text() -> None:
    said = clean(HOSTILE)
    facts = a_run(
        context=said, namespace=said, person=said, server=said, prompt=said, incomplete=said,
        calls=[a_call(text=said, facts={said: said}, arguments={"workload": said}, why=said)],
        checks=[Check(at=1.0, words=said, passed=False, detail=said)],
        marks=[Mark(at=1.0, words=said)], events=[Mark(at=1.0, words=said)],
        spans=[Span(at=1.0, until=2.0, words=said)], put_back=[Returned(words=said, done=False)],
    )  # fmt: skip
    text = page(facts, facts.to_object(CLOCK), CLOCK)
    root = ET.fromstring(text)
    assert not [one for one in root.iter() if one.tag in ("script", "img")]
    assert texts(root).count("<script>alert(1)</script>") >= 10
    assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]


# The plot


def corners(path: str) -> list[tuple[float, float]]:
    """The corners of a path of M, H, V and L."""
    found: list[tuple[float, float]] = []
    for letter, words in re.findall(r"([MHVL])([^MHVLZ]*)", path):
        numbers = [float(word) for word in words.split()]
        if letter in "ML":
            found.append((numbers[0], numbers[1]))
        elif letter == "H":
            found.append((numbers[0], found[-1][1]))
        else:
            found.append((found[-1][0], numbers[0]))
    return found


def drawn(root: ET.Element, name: str) -> list[list[tuple[float, float]]]:
    return [corners(one.attrib["d"]) for one in root.iter("path") if one.get("class") == name]


@pytest.mark.parametrize("name", ["floor", "replicas", "ready"])
def test_the_plot_draws_the_pods_that_were_seen(name: str) -> None:
    facts = a_run()
    (line,) = drawn(ET.fromstring(plot(facts)), name)
    unit = 170.0 / 5  # four pods and one of room above them
    for one in facts.pods:
        x = LEFT + one.at / 100.0 * (RIGHT - LEFT)
        y = TOP + 170.0 - getattr(one, name) * unit
        assert any(abs(x - a) < 0.2 and abs(y - b) < 0.2 for a, b in line), (one, line)
    assert line[-1][0] == RIGHT


def test_the_plot_draws_the_load_and_its_gaps() -> None:
    two = [second(10.0), second(11.0), second(40.0, rate=20), second(41.0, rate=20)]
    root = ET.fromstring(plot(a_run(load=two)))
    rates = drawn(root, "rate")
    assert [len(line) for line in rates] == [2, 2]
    high, low = rates[0][0][1], rates[1][0][1]
    bottom = 46.0 + 170.0 + 44.0 + 110.0
    assert (bottom - high) == pytest.approx(2 * (bottom - low), abs=0.3)
    assert len(drawn(root, "p95_ms")) == 2
    assert drawn(root, "failed") == []
    assert len(drawn(ET.fromstring(plot(a_run())), "failed")) == 1


def test_the_plot_without_load_is_one_panel_and_without_anything_still_a_plot() -> None:
    root = ET.fromstring(plot(a_run(load=[])))
    assert drawn(root, "rate") == []
    assert float(root.attrib["height"]) < 300
    assert ET.fromstring(plot(a_run(load=[], pods=[], marks=[], spans=[], seconds=0.0))).tag == "svg"


def test_moments_that_are_near_are_numbered_together() -> None:
    marks = [Mark(at=at, words=f"at {at}") for at in (10.0, 10.2, 10.4, 50.0)]
    root = ET.fromstring(plot(a_run(marks=marks)))
    numbers = [one.text for one in root.iter("text") if one.get("font-weight") == "700"]
    assert numbers == ["1-3", "4"]
    assert len([one for one in root.iter("g") if one.get("class") == "mark"]) == 4


def test_everything_is_inside_of_the_plot() -> None:
    late = [second(99.0), second(101.0, rate=400, p95=9000.0)]
    root = ET.fromstring(plot(a_run(load=late, marks=[Mark(at=130.0, words="late")])))
    height = float(root.attrib["height"])
    for one in root.iter("text"):
        assert 0 <= float(one.attrib["x"]) <= WIDTH
        assert 0 < float(one.attrib["y"]) < height
    for path in root.iter("path"):
        for x, y in corners(re.sub(r"[hv][-0-9. ]+", "", path.attrib["d"])):
            assert LEFT - 1 <= x <= WIDTH
            assert 0 <= y <= height


def test_this_file_needs_no_cluster() -> None:
    for name in ("transcripts", "facts", "figures", "page", "plot"):
        source = (ROOT / "cli" / "claudescale_cli" / "scenarios" / f"{name}.py").read_text(encoding="utf-8")
        imported = set(re.findall(r"^(?:from|import) ([\w.]+)", source, flags=re.MULTILINE))
        assert not {
            one for one in imported if one.partition(".")[0] in ("time", "os", "pathlib", "threading", "asyncio")
        }
        assert not {one for one in imported if "module_utils.cluster" in one}
