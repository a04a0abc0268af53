"""Models behind an OpenAI-compatible server (vLLM, llama.cpp, Ollama, hosted)::

    openai:qwen3:8b,url=http://127.0.0.1:11434/v1
    openai:toy,url=http://127.0.0.1:8000/v1,endpoint=completions,score=yes
    openai:gpt-4o-mini,key=OPENAI_API_KEY

`key` names the environment variable that holds the key; the key itself is never written anywhere. `also` is sent with
every request, to turn off what a server does to its samples by itself: also=top_k:0+min_p:0+repeat_penalty:1.
"""

from __future__ import annotations

from typing import cast

from deadreckon.contracts import ChatReader, Scorer, TextReader
from deadreckon.errors import BadOption
from deadreckon.models.api.request import Endpoint, read_also
from deadreckon.models.api.served import ServedModel
from deadreckon.models.api.session import Address, ScorerSession
from deadreckon.models.api.terms import Terms
from deadreckon.models.api.wire import OPENAI, Wire, base_url
from deadreckon.specs import known_only, one_of, parse_spec, read_option

OPTIONS = ("url", "endpoint", "score", "key", "also")
YES_NO = one_of("yes", "no")


class OpenAIModel(ServedModel):
    """A model behind a server that is asked over HTTP."""

    def dial(self, terms: Terms) -> Wire:
        """See `ServedModel.dial`."""
        where = self.address
        return Wire(where.url, where.key, timeout=terms.timeout, most=terms.concurrency, also=where.also)


class OpenAIText(OpenAIModel, TextReader):
    """A served model that goes on with a text."""


class OpenAIChat(OpenAIModel, ChatReader):
    """A served model that answers a conversation; the server applies the template."""


class OpenAIScorer(OpenAIText, Scorer):
    """A served model whose completions endpoint echoes prompts with log-probabilities, and so scores texts."""

    def session(self) -> ScorerSession:
        """Begin work."""
        return ScorerSession(self.connected())


def load_openai(rest: str) -> OpenAIModel:
    """From a spec after the colon: the model's name as the server knows it, then options. BadOption."""
    served, comma, options = rest.partition(",")
    if not served or "=" in served:
        raise BadOption(f"spec openai:{rest!r} does not name a model: write openai:MODEL,url=http://HOST:PORT/v1")
    given = parse_spec(f"openai:{options}")[1] if comma else {}
    known_only("openai", given, OPTIONS)
    endpoint = cast(Endpoint, read_option("openai", given, "endpoint", one_of("chat", "completions"), "chat"))
    score = read_option("openai", given, "score", YES_NO, "no") == "yes"
    if score and endpoint == "chat":
        raise BadOption("openai score=yes: only a completions endpoint can score texts, add endpoint=completions")
    also = given.get("also", "")
    read_also(also)
    address = Address(served, base_url(given.get("url", OPENAI)), endpoint, given.get("key", ""), also)
    kind = OpenAIScorer if score else OpenAIChat if endpoint == "chat" else OpenAIText
    identity = {"engine": "openai", "url": address.url, "served": served, "endpoint": endpoint}
    identity |= {"also": also} if also else {}
    return kind(f"openai:{rest}", address, identity)
