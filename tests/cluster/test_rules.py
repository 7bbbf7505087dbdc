"""The rules, by promtool's word: they are well-formed, and each alert fires when it must and is silent when it must be.

No cluster is asked. The file stands here because `make test` runs this folder with the kit's programs on PATH; where
there is no kit there is a Docker daemon, which runs the promtool of Prometheus' own image.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT

pytestmark = pytest.mark.cluster

ROLE = ROOT / "collections" / "ansible_collections" / "claudescale" / "core" / "roles" / "monitoring"
RULES = ROLE / "files" / "rules"
CASES = Path(__file__).resolve().parent / "rules"
FILES = sorted(RULES.glob("*.yml"))


def promtool(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run it; where it is in a container it sees no more than one folder."""
    command = ["promtool", *arguments]
    if not shutil.which("promtool"):
        defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
        image = str(defaults["monitoring_prometheus_image"])
        mount = f"{folder}:{folder}:ro"
        command = ["docker", "run", "--rm", "--volume", mount, "--entrypoint", "promtool", image, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_rules_are_well_formed() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, FILES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(FILES) == 2


@pytest.mark.parametrize("name", ["alerts.yml", "recording.yml"])
def test_alerts_fire_when_they_must_and_rules_count_what_they_should(name: str) -> None:
    done = promtool("test", "rules", str(CASES / name))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


SLOW, ONCE = "ClaudeScaleDemoAppSlow: one request in ten is slow", "namespace:demo_app_cpu_cores:rate1m"
WRONG = [
    pytest.param("alerts.yml", "recording.yml", "histogram_fraction(0, 0.5,", "histogram_fraction(0, 50,", SLOW),
    pytest.param("alerts.yml", "alerts.yml", "ratio_rate1m > 0.05", "ratio_rate1m > 0.5", SLOW),
    pytest.param("recording.yml", "recording.yml", "max by (namespace, pod,", "sum by (namespace, pod,", ONCE),
]


@pytest.mark.parametrize(("cases", "name", "right", "wrong", "told"), WRONG)
def test_a_rule_that_is_wrong_is_noticed(
    cases: str, name: str, right: str, wrong: str, told: str, tmp_path: Path
) -> None:
    """The cases above would fail if a rule were another one."""
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert file.name != name or right in text
        (tmp_path / file.name).write_text(text.replace(right, wrong), encoding="utf-8")
    tmp_path.chmod(0o755)
    found = yaml.safe_load((CASES / cases).read_text(encoding="utf-8"))
    found["rule_files"] = [file.name for file in FILES]
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(found), encoding="utf-8")
    done = promtool("test", "rules", str(tmp_path / "cases.yml"), folder=tmp_path)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr
