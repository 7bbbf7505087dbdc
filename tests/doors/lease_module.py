"""The module capacity_lease in this process, through its own main()."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args
from ansible_collections.claudescale.core.plugins.modules import capacity_lease
from kubernetes.client import Configuration


class Said(dict[str, Any]):
    """The module's result, its warnings as texts."""

    @property
    def sentence(self) -> str:
        """Its one sentence."""
        text: str = self["msg"]
        assert "Traceback" not in text
        assert "\n" not in text
        return text


def module(options: dict[str, Any], *, check: bool = False) -> Said:
    """Run the module with options, those that are None left out."""
    given = {name: value for name, value in options.items() if value is not None}
    given |= {"_ansible_check_mode": check, "_ansible_diff": True}
    warnings._global_warnings.clear()
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch, patch_module_args(given):
        patch.setattr("builtins.print", lambda text, *_, **__: printed.append(text))
        with pytest.raises(SystemExit):
            capacity_lease.main()
    Configuration.set_default(None)  # kubernetes keeps a kubeconfig that was loaded for the whole process
    found = Said(json.loads(printed[-1]))
    found.pop("invocation")
    found["warnings"] = [warning["event"]["msg"] for warning in found.get("warnings", [])]
    return found
