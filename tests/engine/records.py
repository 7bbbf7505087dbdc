"""The good export, and a checker of chains that shares nothing with the engine but the file's format."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXPORT = ROOT / "tests" / "engine" / "data" / "records.jsonl"
UID = "c3a1f0de-52b4-4b7e-9a77-0f1e2d3c4b5a"
HEAD = "7:8aa65ed0f27ba8d7c3b112734483716d3c49df71319e5508e2403185cd64b26b"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def good() -> list[Any]:
    """The export's records, for each caller anew."""
    return copy.deepcopy(RECORDS)


def naive(records: list[Any]) -> bool:
    """Whether the records are a whole chain: each is built again from nothing but its payload and those before it."""
    previous, home = "0" * 64, ""
    for number, record in enumerate(records):
        try:
            payload = record["spec"]["payload"]
            said = json.loads(payload)
            home = home or said["namespace"]["name"]
            digest = hashlib.sha256(f"claudescale.io/record/v1\n{previous}\n{payload}".encode()).hexdigest()
            spec = {name: said[name] for name in ("sequence", "time", "actor", "door", "outcome")}
            spec |= {"previousHash": previous, "hash": digest, "payload": payload}
            if "workload" in said:
                spec["workload"] = said["workload"]["kind"] + "/" + said["workload"]["name"]
            if "decision" in said:
                spec["decision"] = said["decision"]["code"]
            fits = said["sequence"] == number and said["version"] == 1 and TIME.fullmatch(said["time"])
            first = said["event"] == "Genesis"
        except (ValueError, LookupError, TypeError):
            return False
        metadata = {"name": "record-" + str(number).zfill(10), "namespace": home}
        wanted = {"apiVersion": "claudescale.io/v1alpha1", "kind": "ScalingRecord", "metadata": metadata, "spec": spec}
        # As text: 1, 1.0 and True are equal to Python.
        if not fits or first is not (number == 0) or text_of(record) != text_of(wanted):
            return False
        previous = digest
    return bool(records)


def text_of(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


RECORDS = [json.loads(line) for line in EXPORT.read_bytes().splitlines()]
