"""What `deadreckon doctor` visits: a server by its URL, or a model by a spec of Inspect's."""

from __future__ import annotations

from importlib import import_module

from deadreckon.errors import BadOption
from deadreckon.models.api.contract import Contract
from deadreckon.models.api.doctor import doctor
from deadreckon.models.api.sender import Sender
from deadreckon.models.api.terms import Terms
from deadreckon.models.api.wire import Wire


def visit(url: str, model: str = "", key: str = "", terms: str = "", also: str = "") -> list[Contract]:
    """Every check; `key` names the environment variable that holds one, `also`: see `read_also`.

    BadOption, ServerRefused, CapReached.
    """
    if url.startswith("inspect:"):
        if model or key or also:
            raise BadOption(
                "doctor inspect:PROVIDER/MODEL takes no other option than terms: write key=NAME in the spec"
            )
        found: list[Contract] = import_module("deadreckon.models.inspect").visit_inspect(url.partition(":")[2], terms)
        return found
    if not model:
        raise BadOption(f"doctor {url}: name the model, --model NAME")
    limits = Terms.of(terms)
    sender = Sender(Wire(url, key, timeout=limits.timeout, most=limits.concurrency, also=also), limits)
    try:
        return doctor(sender, model)
    finally:
        sender.wire.close()
