"""`claudescale records`: what it reads from an API server or a file, what it says, and how it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from claudescale_cli.records import row

from tests.doors.cluster_double import SPACE, ApiDouble, api_double
from tests.doors.command import Said
from tests.engine.records import EXPORT, HEAD, UID, good

RECORDS = f"/apis/claudescale.io/v1alpha1/{SPACE}/scalingrecords"
NAMESPACE = f"/api/v1/{SPACE}"
EARLIER = "3:" + good()[3]["spec"]["hash"]
WHOLE = f"8 records of namespace claudescale (UID {UID}) are whole\n"
NOTE = f"head to note down: {HEAD}\n"
OTHER_HEAD = "7:" + "a" * 64
TO_NOTE = "is no head of a chain: write it as SEQUENCE:HASH, as records verify prints it"

BROKEN = "the chain is broken at record"
THREE_IS_MISSING = "record-0000000004 stands here, and record-0000000003 is missing"
THREE_IS_LATER = "record-0000000004 stands here, and record-0000000003 comes later"
OUTCOME = (b'"outcome":"Refused"', b'"outcome":"Sefused"')
FILES = [
    pytest.param(lambda lines: [], f"{BROKEN} 0 (Empty): there is no record at all", id="empty"),
    pytest.param(lambda lines: lines[:3] + lines[4:], f"{BROKEN} 3 (Missing): {THREE_IS_MISSING}", id="removed"),
    pytest.param(lambda lines: lines[:4] + lines[3:],
                 f"{BROKEN} 4 (Repeated): record-0000000003 stands here again", id="repeated"),
    pytest.param(lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
                 f"{BROKEN} 3 (OutOfOrder): {THREE_IS_LATER}", id="swapped"),
    pytest.param(lambda lines: [*lines[:4], lines[4].replace(*OUTCOME), *lines[5:]],
                 f"{BROKEN} 4 (CopyDiffers): spec.outcome is 'Sefused', and the payload says 'Refused'", id="copy"),
    pytest.param(lambda lines: [*lines[:4], lines[4].replace(b"500", b"400"), *lines[5:]],
                 f"{BROKEN} 4 (HashDiffers): its hash is not that of its previousHash and its payload", id="payload"),
    pytest.param(lambda lines: [*lines[:7], lines[7][:-1]],
                 "the export cannot be read in line 8: it has no end, so the file was cut off or changed", id="cut"),
    pytest.param(lambda lines: [b"\x00\xff\xfe" * 10**6],
                 "the export cannot be read in line 1: it is longer than 2097152 bytes, and no record is", id="binary"),
]  # fmt: skip
HEADS = [
    pytest.param("", f"'' {TO_NOTE}", id="empty"),
    pytest.param("7", f"'7' {TO_NOTE}", id="sequence-only"),
    pytest.param(OTHER_HEAD, f"{BROKEN} 7 (HeadDiffers): its hash is {HEAD[2:]}, and {OTHER_HEAD} was noted: "
                 "it or one before it was rewritten", id="rewritten"),
    pytest.param("8:" + "a" * 64, f"{BROKEN} 8 (TailMissing): the chain ends before it, and 8:{'a' * 64} was noted",
                 id="cut"),
]  # fmt: skip


@pytest.fixture
def api() -> Iterator[ApiDouble]:
    with api_double() as double:
        double.objects = {RECORDS: {"items": live()}, NAMESPACE: {"metadata": {"name": "claudescale", "uid": UID}}}
        yield double


@pytest.fixture
def records(run: Callable[..., Said], api: ApiDouble, tmp_path: Path) -> Any:
    """`claudescale records`, with a kubeconfig that leads to the double."""
    kubeconfig = str(api.kubeconfig(tmp_path))
    return lambda *arguments: run("--kubeconfig", kubeconfig, "records", *arguments)


def live() -> list[Any]:
    """The good records as an API server gives them."""
    found = good()
    for number, item in enumerate(found):
        item["metadata"] |= {
            "uid": f"u{number}",
            "resourceVersion": str(100 + number),
            "creationTimestamp": "2026-03-01T17:30:00Z",
            "managedFields": [{"manager": "claudescale-controller", "operation": "Update"}],
        }
    return found


def test_verify(records: Any, api: ApiDouble) -> None:
    said = records("verify")
    assert (said.code, said.err) == (0, "")
    assert said.out == WHOLE + NOTE
    assert {method for method, _ in api.asked} == {"GET"}


def test_verify_against_a_head_noted_earlier(records: Any) -> None:
    assert records("verify", "--head", EARLIER).out == f"{WHOLE}the head noted earlier is in it: {EARLIER}\n{NOTE}"


@pytest.mark.parametrize(("head", "sentence"), HEADS)
@pytest.mark.parametrize("source", ["cluster", "file"])
def test_verify_fails_against_another_head(records: Any, source: str, head: str, sentence: str) -> None:
    source_arguments = ("--file", str(EXPORT)) if source == "file" else ()
    said = records("verify", *source_arguments, "--head", head)
    assert said.sentence() == sentence
    assert said.out == ""


def test_verify_where_the_namespace_may_not_be_read(records: Any, api: ApiDouble) -> None:
    api.codes[NAMESPACE] = 403
    assert (
        records("verify").out == f"{WHOLE}not compared: the namespace's UID, which this identity may not read\n{NOTE}"
    )


def test_verify_in_a_namespace_that_was_made_again(records: Any, api: ApiDouble) -> None:
    api.objects[NAMESPACE] = {"metadata": {"uid": "new"}}
    assert records("verify").sentence() == (
        f"{BROKEN} 0 (UidDiffers): the chain began in a namespace with the UID {UID}, and this one's is new"
    )


def test_verify_without_records_is_no_pass(records: Any, api: ApiDouble) -> None:
    api.objects[RECORDS] = {"items": []}
    assert records("verify").sentence() == f"{BROKEN} 0 (Empty): there is no record at all"


@pytest.mark.parametrize("command", [("verify",), ("list",), ("export",)], ids=" ".join)
def test_a_cluster_without_the_kind(records: Any, api: ApiDouble, command: tuple[str, ...]) -> None:
    del api.objects[RECORDS]
    assert records(*command).sentence() == (
        "the cluster has no records: it has no kind ScalingRecord yet (make up)"
    )  # fmt: skip


@pytest.mark.parametrize("command", [("verify",), ("list",), ("export",)], ids=" ".join)
def test_records_that_may_not_be_read(records: Any, api: ApiDouble, command: tuple[str, ...]) -> None:
    api.codes[RECORDS] = 403
    assert records(*command).sentence() == f"the API server answered 403: {RECORDS} is not for you"


def test_a_live_record_that_was_changed(records: Any, api: ApiDouble) -> None:
    api.objects[RECORDS]["items"][5]["spec"]["actor"] = "somebody"
    said = records("verify", "-o", "json")
    assert said.sentence() == (
        f"{BROKEN} 5 (CopyDiffers): spec.actor is 'somebody', and the payload says "
        "'system:serviceaccount:claudescale:claudescale-sa'"
    )
    facts = json.loads(said.out)
    assert (facts["whole"], facts["records"], facts["head"]) == (False, 5, "4:" + good()[4]["spec"]["hash"])
    assert (facts["broken"]["place"], facts["broken"]["code"]) == (5, "CopyDiffers")


def test_verify_for_machines(records: Any) -> None:
    assert json.loads(records("verify", "-o", "json").out) == {
        "whole": True, "records": 8, "head": HEAD, "namespace": {"name": "claudescale", "uid": UID}, "broken": None,
    }  # fmt: skip


def test_verify_of_a_file_needs_no_cluster(run: Callable[..., Said]) -> None:
    said = run("--kubeconfig", "/no/such/file", "records", "verify", "--file", str(EXPORT))
    assert (said.code, said.out, said.err) == (0, WHOLE + NOTE, "")


def test_verify_of_standard_input(run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(EXPORT.read_bytes())))
    assert run("records", "verify", "--file", "-").out == WHOLE + NOTE


@pytest.mark.parametrize(("tamper", "sentence"), FILES)
def test_verify_of_a_file_that_was_tampered_with(
    run: Callable[..., Said], tmp_path: Path, tamper: Callable[[list[bytes]], list[bytes]], sentence: str
) -> None:
    file = tmp_path / "records.jsonl"
    file.write_bytes(b"".join(tamper(EXPORT.read_bytes().splitlines(keepends=True))))
    said = run("records", "verify", "--file", str(file))
    assert said.sentence() == sentence
    assert said.out == ""


@pytest.mark.parametrize(("name", "why"), [("none", "No such file or directory"), (".", "Is a directory")])
def test_verify_of_no_file(run: Callable[..., Said], tmp_path: Path, name: str, why: str) -> None:
    file = tmp_path / name
    assert run("records", "verify", "--file", str(file)).sentence() == (
        f"{file} cannot be read ({why}): name an export by --file"
    )


def test_an_export_holds_what_was_recorded_and_nothing_else(records: Any, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    said = records("export", str(file))
    assert said.out == f"8 records are in {file}: claudescale records verify --file {file}\n"
    assert file.read_bytes() == EXPORT.read_bytes()
    assert records("export").out == EXPORT.read_text(encoding="utf-8")


def test_an_export_replaces_no_file(records: Any, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_bytes(b"older")
    assert records("export", str(file)).sentence() == f"{file} is there already: name another file"
    assert file.read_bytes() == b"older"


def test_an_export_into_no_folder(records: Any, tmp_path: Path) -> None:
    file = tmp_path / "none" / "records.jsonl"
    assert records("export", str(file)).sentence() == (
        f"{file} cannot be written (No such file or directory): name another file"
    )


def test_an_export_of_nothing(records: Any, api: ApiDouble, tmp_path: Path) -> None:
    api.objects[RECORDS] = {"items": []}
    file = tmp_path / "records.jsonl"
    assert records("export", str(file)).sentence() == "namespace claudescale has no records to export"
    assert not file.exists()


def test_list(records: Any) -> None:
    said = records("list")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["#", "time", "event", "outcome", "workload", "lease", "actor"]
    rows = [line.split() for line in lines if line[:1].isdigit()]
    assert [(found[0], found[2]) for found in rows] == [
        ("0", "Genesis"), ("1", "LeaseRequested"), ("2", "FloorIntended"), ("3", "FloorWritten"),
        ("4", "LeaseRequested"), ("5", "RefusalsRepeated"), ("6", "FloorRestored"), ("7", "LeaseEnded"),
    ]  # fmt: skip
    assert rows[1][1] == "2026-03-01T17:30:02Z"
    assert max(map(len, lines)) <= 120


def test_a_terminal_that_knows_only_ascii(api: ApiDouble, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from claudescale_cli.main import main; main()", "--kubeconfig"]
    done = subprocess.run(
        [*command, str(api.kubeconfig(tmp_path)), "records", "list"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u2026:claudescale-sa" in done.stdout


def test_list_for_machines(records: Any) -> None:
    assert json.loads(records("list", "-o", "json").out) == good()
    assert json.loads(records("list", "-o", "json", "--last", "2").out) == good()[6:]


def test_list_of_nothing(records: Any, api: ApiDouble) -> None:
    api.objects[RECORDS] = {"items": []}
    assert records("list").out == "namespace claudescale has no records\n"
    assert json.loads(records("list", "-o", "json").out) == []


def test_rows() -> None:
    spec = good()[4]["spec"]
    assert row(spec) == (
        "4", "2026-03-01T17:35:00Z", "LeaseRequested", "Refused: AbovePolicyMaximum", "Deployment/demo-app",
        "all-of-it", "…:claudescale-sa",
    )  # fmt: skip
    assert row(good()[1]["spec"])[3] == "Accepted"
    assert row({**spec, "actor": "mara@example.com"})[6] == "mara@example.com"
    assert row({**spec, "payload": "[]", "actor": "a\x1b[2Jb"})[2:] == (
        "?", "Refused: AbovePolicyMaximum", "Deployment/demo-app", "", "a\\x1b[2Jb",
    )  # fmt: skip
    assert row({"payload": 1})[2] == "?"
