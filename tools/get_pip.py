"""Stands in for get-pip.py where ansible-test makes its environments: pip comes from ensurepip and PyPI."""

from __future__ import annotations

import subprocess
import sys

subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
subprocess.run([sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "pip==24.2"], check=True)
