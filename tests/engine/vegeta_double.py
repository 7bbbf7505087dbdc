"""A program that stands in for vegeta: it sends nothing, and says what a test wants to have been sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PROGRAM = """#!{python}
import json, signal, sys, time
from datetime import datetime, timezone
wish = json.loads({wish!r})
if sys.argv[1] == "encode":
    for line in sys.stdin:
        print(line, end="", flush=True)
    sys.exit(0)
if sys.argv[1] == "report":
    lines = [json.loads(line) for line in sys.stdin]
    slowest = max((line["latency"] for line in lines), default=0)
    good = sum(line["code"] == 200 for line in lines)
    latencies = {{"50th": slowest, "95th": slowest, "99th": slowest, "max": slowest}}
    print(json.dumps({{"requests": len(lines), "success": good / max(1, len(lines)), "latencies": latencies}}))
    sys.exit(0)
options = dict(argument.lstrip("-").split("=", 1) for argument in sys.argv[2:])
rate = int(options["rate"].split("/")[0])
count = round(int(options["duration"].removesuffix("ns")) * rate / 1e9)
over = []
signal.signal(signal.SIGINT, lambda *_: over.append(1))
if wish["dies"]:
    sys.exit(1)
if not sys.stdin.readline().startswith("GET http"):
    sys.exit(1)
began = time.time()
for number in range(count - wish["unsent"]):
    due = began + (number + 1) / rate
    while not over and time.time() < due:
        time.sleep(max(0.001, due - time.time()))
    if over:
        break
    late = wish["late"] if number < wish["lates"] else 0
    sent = datetime.fromtimestamp(due + late, timezone.utc).isoformat().replace("+00:00", "789Z")
    code = wish["codes"][number % len(wish["codes"])]
    error = "" if code == 200 else f"HTTP {{code}}"
    result = {{"seq": number, "timestamp": sent, "code": code, "latency": 5_000_000, "error": error}}
    print(json.dumps(result), flush=True)
"""


def vegeta(folder: Path, **wish: Any) -> str:
    """The path of such a program.

    Of each segment the last `unsent` requests are not sent, the first `lates` are sent `late` seconds too late; `codes`
    come in turn; with `dies` it ends before it sends anything.
    """
    given = {"unsent": 0, "lates": 0, "late": 0.0, "codes": [200], "dies": False} | wish
    program = folder / "vegeta"
    program.write_text(PROGRAM.format(python=sys.executable, wish=json.dumps(given)), encoding="utf-8")
    program.chmod(0o755)
    return str(program)
