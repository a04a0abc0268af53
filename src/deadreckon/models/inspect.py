"""Models of any provider that Inspect AI knows::

    inspect:openai/gpt-4o-mini
    inspect:openai-api/local/qwen3,url=http://127.0.0.1:8000/v1,key=LOCAL_KEY
    inspect:anthropic/claude-sonnet-4-5,top_p=unset

The provider's own environment variables hold its key; `key` names another one. `top_p=unset` is for providers that take
a temperature or top_p but not both; the others are told 1, so that no default truncates the law.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from inspect_ai import __version__
from inspect_ai.model import Model as Served
from inspect_ai.model import get_model

from deadreckon.contracts import ChatReader
from deadreckon.errors import BadOption
from deadreckon.models.api.contract import Contract
from deadreckon.models.api.doctor import checks_for, examine
from deadreckon.models.api.provider import Provider
from deadreckon.models.api.sender import Sender
from deadreckon.models.api.served import ServedModel
from deadreckon.models.api.session import Address
from deadreckon.models.api.terms import Terms
from deadreckon.models.api.wire import base_url
from deadreckon.specs import known_only, one_of, parse_spec, read_option

OPTIONS = ("url", "key", "top_p")
ASKS_ITS_OWN = "errors"  # the check that asks for another model: Inspect holds one


class InspectModel(ServedModel, ChatReader):
    """A model that is asked through one of Inspect's providers; it answers conversations."""

    def __init__(self, name: str, served: str, make: Callable[[], Served], *, url: str = "", top_p: str = "1"):
        """`served`: PROVIDER/MODEL; `make`: gives Inspect's model."""
        asked = served.rpartition("/")[2]
        identity = {"engine": "inspect", "inspect_ai": __version__, "served": served, "endpoint": "chat"}
        where = {"url": url} if url else {}
        super().__init__(name, Address(asked, f"inspect:{served}"), {**identity, **where, "top_p": top_p})
        self._make, self._top_p = make, top_p

    def dial(self, terms: Terms) -> Provider:
        """See `ServedModel.dial`. BadOption: a cap that cannot be kept."""
        way = Provider(self.address.url, self._make, timeout=terms.timeout, top_p=self._top_p == "1")
        if way.retries == "unknown" and (terms.cap_tokens or terms.cap_cost):
            way.close()
            raise BadOption(
                f"{self.address.url}: how often this provider's client asks again is not known, so no cap can be kept:"
                " leave cap_tokens and cap_cost out, or use openai:"
            )
        self.identity = {**self.identity, "client_retries": way.retries}
        return way


def load_inspect(rest: str) -> InspectModel:
    """From a spec after the colon: PROVIDER/MODEL, then options. BadOption."""
    served, comma, options = rest.partition(",")
    if "/" not in served or "=" in served:
        raise BadOption(f"spec inspect:{rest!r} does not name a model: write inspect:PROVIDER/MODEL")
    given = parse_spec(f"inspect:{options}")[1] if comma else {}
    known_only("inspect", given, OPTIONS)
    top_p = read_option("inspect", given, "top_p", one_of("1", "unset"), "1")
    url, name = base_url(given["url"]) if "url" in given else "", given.get("key", "")
    key = os.environ.get(name, "") if name else ""
    if name and not key:
        raise BadOption("key= names an environment variable that is not set: give its name, not the key, and export it")
    make = partial(get_model, served, base_url=url or None, api_key=key or None, memoize=False)
    return InspectModel(f"inspect:{rest}", served, make, url=url, top_p=top_p)


def visit_inspect(rest: str, terms: str = "") -> list[Contract]:
    """Every check but `errors`, by spec after the colon. BadOption, ServerRefused, CapReached."""
    model, limits = load_inspect(rest), Terms.of(terms)
    way = model.dial(limits)
    try:
        checks = {name: check for name, check in checks_for("chat").items() if name != ASKS_ITS_OWN}
        return [examine(Sender(way, limits), model.address.model, "chat", checks)]
    finally:
        way.close()
