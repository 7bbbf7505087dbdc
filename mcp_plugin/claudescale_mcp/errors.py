"""Every exception as one sentence that a model can act on: what is wrong and what to do. The one table for that.

Texts of the API server are shown only where it judges what the caller itself wrote, cleaned and cut. Neither a sentence
nor the log holds credentials: what looks like some is taken out.
"""

from __future__ import annotations

import logging
import re
import traceback

from ansible_collections.claudescale.core.plugins.module_utils.asking.door import NameTaken, NoLease
from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

LONGEST = 600
LONGEST_JUDGEMENT = 200
# A header's credentials, a token by itself, and a password in an address.
CREDENTIALS = re.compile(r"(?i:\b(?P<kind>bearer|basic)\s+[^\s'\",]+)|\beyJ[\w-]+\.[\w.-]+|(?<=//)[^/@\s]+(?=@)")
log = logging.getLogger("claudescale.mcp")


def sentence(error: BaseException, account: str) -> str:
    """What the caller reads. What is not foreseen goes to the log, with its traceback, and its type to the caller."""
    if isinstance(error, NameTaken):
        return _taken(error)
    if isinstance(error, NoLease):
        return "there is no lease of that name in this namespace: get_current_state shows those that there are"
    if isinstance(error, ApiError):
        return _refused(error, account)
    if isinstance(error, ClaudeScaleError):
        return clean(without_credentials(str(error)), LONGEST)
    log.error("tool failed\n%s", without_credentials("".join(traceback.format_exception(error))))
    return (
        f"the server could not do this because of a mistake of its own ({type(error).__name__}): its log on standard"
        " error has the details; the same call may be made again, because it changes nothing twice"
    )


def without_credentials(text: str) -> str:
    """The text with *** for what looks like credentials."""
    return CREDENTIALS.sub(lambda found: f"{found['kind']} ***" if found["kind"] else "***", text)


def _taken(error: NameTaken) -> str:
    if not error.fields:
        return "a lease of that name is over or ending, and the name is taken until it is deleted: use another name"
    return (
        f"a lease of that name exists with other content ({', '.join(error.fields)}): use another name, or end it first"
    )


def _refused(error: ApiError, account: str) -> str:
    said = str(error)
    if error.status == 403:
        return _forbidden(said, account)
    if error.status == 404 and "serviceaccounts" in said:
        return f"there is no service account {account}, or no such namespace, in this cluster: make up brings both"
    if error.status == 404 and 'namespaces "' in said:
        return "there is no such namespace in this cluster: start this server with the --namespace that is meant"
    if error.status in (400, 413, 422):
        return (
            f"the API server takes no such lease: mend what it names and ask again ({clean(said, LONGEST_JUDGEMENT)})"
        )
    return {
        401: "the API server does not accept the kubeconfig's credentials any more: make up renews them",
        404: "what was asked for is not there any more: look with get_current_state",
        409: "somebody changed it at the same moment: ask again",
    }.get(error.status, f"the API server is not well ({error.status}): ask again in a few seconds")


def _forbidden(said: str, account: str) -> str:
    if "exceeded quota" in said:
        return "the namespace holds as many leases as its quota lets it: wait until some that are over are deleted"
    if "ValidatingAdmissionPolicy" in said:
        return "the cluster's guard refuses it: a lease is ended only by who asked for it; tell the person whose it is"
    if "serviceaccounts/token" in said or "serviceaccounts" in said:
        return f"the kubeconfig's user may not make a token for {account}: use a context that may, or make up"
    return f"the account {account} lacks the right to do this in this namespace: make up brings its rights"
