"""lm-evaluation-harness `--log_samples` files: one document a line, once for each filter."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from deadreckon.contracts import Json, nan
from deadreckon.errors import BadLog
from deadreckon.logs.inspect_scores import as_list, as_map, as_text, number, success
from deadreckon.logs.lines import json_lines
from deadreckon.logs.pieces import CHUNK, Pieces
from deadreckon.logs.record import Message, Options, Record

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl")
_HEAD = re.compile(rb'\s*\{\s*"doc_id"\s*:')
_PLAIN = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash",
}  # fmt: skip
_NO_OUTCOME = ("perplexity", "bits_per_byte", "brier", "likelihood")  # metrics of which more is not more success


class LmEval:
    """`samples_*.jsonl`. Score names as the tool writes them: "acc", or "acc,strict-match" for another filter.

    The first filter in the file is read unless one is named; each document counts once. The confidence of a choice is
    its share of the likelihood among the choices: exp(ll_i) / Σ_j exp(ll_j).
    """

    name = "lm-eval"
    line = "lm-evaluation-harness logs, samples_*.jsonl of --log_samples"

    def knows(self, path: Path, head: bytes) -> bool:
        """Lines that begin with doc_id and hold responses."""
        return bool(_HEAD.match(head)) and (b'"filtered_resps"' in head or path.name.startswith("samples_"))

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """Its documents. BadLog: not such a file, or a filter or score that it does not have."""
        named = _NAME.fullmatch(path.name)
        task = named["task"] if named else ""
        model = _model(path, named["stamp"], options) if named else ""
        score, _, chosen = options.score.partition(",")
        first: str | None = None
        filters: dict[str, None] = {}
        for line, doc in json_lines(path, options.caps):
            place = f"{path}:{line}"
            if not isinstance(doc, dict) or as_text(doc.get("doc_id")) == "":
                raise BadLog(f"{place}: a line without doc_id: not a sample of lm-eval")
            item, kind = as_text(doc["doc_id"]), as_text(doc.get("filter"))
            if first is None:
                first, chosen = item, chosen or kind
            elif not kind and item == first:  # older logs do not name their filters: the documents begin again
                return
            if len(filters) < 20:
                filters[kind] = None
            if kind == chosen:
                yield _record(doc, score, Record(item, model=model, task=task, line=line), place)
        if first is not None and chosen not in filters:
            raise BadLog(f"{path}: no filter named {chosen!r:.80}: known here: {', '.join(filters)}")


def _record(doc: dict[str, Json], score: str, blank: Record, place: str) -> Record:
    names = [name for name in map(as_text, as_list(doc.get("metrics"))) if name in doc]
    names = names or [name for name in doc if name not in _PLAIN]
    scores = {name: number(doc[name]) for name in names if _is_number(doc[name])}
    outcomes = {name: value for name, value in scores.items() if not any(word in name for word in _NO_OUTCOME)}
    picked = score or next(iter(outcomes), "")
    prompt, answers, logps = _asked(doc)
    pick = _pick(answers, logps, picked) if logps else 0
    return Record(
        item=blank.item,
        model=blank.model,
        task=blank.task,
        messages=(Message("user", prompt), Message("assistant", answers[pick])) if answers else (),
        success=success(scores if score else outcomes, score, place),
        scores=scores,
        lengths={"steps": 1.0},
        confidence=_share(logps, pick),
        line=blank.line,
    )


def _is_number(value: Json) -> bool:
    return isinstance(value, bool | int | float)


def _asked(doc: dict[str, Json]) -> tuple[str, list[str], list[float]]:
    """The prompt, the answers, and the log-likelihood of each in nats where the answers are choices."""
    arguments = doc.get("arguments")
    pairs = [list(pair.values()) if isinstance(pair, dict) else as_list(pair) for pair in _values(arguments)]
    prompt = as_text(pairs[0][0]) if pairs and pairs[0] else ""
    replies = [as_list(reply)[0] for reply in as_list(doc.get("resps")) if as_list(reply)]
    logps = [_nats(reply[0]) for reply in replies if isinstance(reply, list) and reply]
    if logps and len(logps) == len(pairs) == len(replies) and all(len(pair) > 1 for pair in pairs):
        if "acc_mutual_info" in doc:  # asked again without the question: those are not choices
            pairs, logps = pairs[: len(pairs) // 2], logps[: len(logps) // 2]
        return prompt, [as_text(pair[1]) for pair in pairs], logps
    return prompt, [as_text(reply) for reply in replies[:1]], []


def _values(arguments: Json) -> Sequence[Json]:
    return list(as_map(arguments).values()) or as_list(arguments)


def _nats(value: Json) -> float:
    """A log-likelihood, which the tool writes as text; nan where it is not one."""
    try:
        found = float(value) if isinstance(value, str | int | float) else nan
    except (ValueError, OverflowError):
        return nan
    return found if found <= 0 else nan


def _pick(answers: Sequence[str], logps: Sequence[float], metric: str) -> int:
    """Which choice the metric takes for the answer: the likeliest, for `acc_norm` per character of the choice."""
    size = [max(1, len(answer.removeprefix(" "))) if metric == "acc_norm" else 1 for answer in answers]
    worth = [-math.inf if math.isnan(logp) else logp / chars for logp, chars in zip(logps, size, strict=True)]
    return worth.index(max(worth))


def _share(logps: Sequence[float], pick: int) -> float:
    """exp(ll_pick) / Σ exp(ll); nan where there is no choice, or one is unknown."""
    top = max(logps, default=nan)
    if len(logps) < 2 or any(map(math.isnan, logps)) or math.isinf(top):
        return nan
    return math.exp(logps[pick] - top) / sum(math.exp(logp - top) for logp in logps)


def _model(path: Path, stamp: str, options: Options) -> str:
    """The model's name from the results written beside the samples, or else the folder's name."""
    beside = path.with_name(f"results_{stamp}.json")
    if not beside.is_file():
        return path.absolute().parent.name
    with beside.open("rb") as file:
        pieces = Pieces(iter(lambda: file.read(CHUNK), b""), str(beside), options.caps)
        found = {key: pieces.value() for key in pieces.names() if key in ("model_name", "model_name_sanitized")}
    return as_text(found.get("model_name")) or as_text(found.get("model_name_sanitized")) or path.absolute().parent.name
