"""Logs written by lm-evaluation-harness itself read to its own results (tests/logs/make_lmeval.py writes both)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from deadreckon.errors import BadLog
from deadreckon.logs.lmeval import LmEval
from deadreckon.logs.record import Options, Record

FOLDER = next((Path(__file__).parents[1] / "logs").glob("lmeval-*")) / "planned"
SAID = json.loads(next(FOLDER.glob("results_*.json")).read_text())


def path_of(task: str) -> Path:
    return next(FOLDER.glob(f"samples_{task}_*.jsonl"))


def read(task: str, **options: object) -> list[Record]:
    path = path_of(task)
    assert LmEval().knows(path, path.read_bytes())
    return list(LmEval().read(path, Options(**options)))  # type: ignore[arg-type]


def lines(task: str) -> list[dict]:
    return [json.loads(line) for line in path_of(task).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("choose", "acc,none"),
        ("choose", "acc_norm,none"),
        ("say", "exact_match,strict"),
        ("say", "exact_match,voted"),
        ("predict", "acc,none"),
    ],
)
def test_every_document_counts_once_and_the_mean_is_the_tools_own(task: str, metric: str) -> None:
    runs = read(task, score=metric)
    assert len(runs) == len({run.item for run in runs}) == SAID["n-samples"][task]["effective"]
    assert sum(run.success for run in runs if run.success is not None) / len(runs) == SAID["results"][task][metric]


def test_the_first_filter_and_the_first_metric_that_is_an_outcome_are_read_unless_others_are_named() -> None:
    assert [run.success for run in read("say")] == [run.success for run in read("say", score="exact_match,strict")]
    assert [run.success for run in read("predict")] == [run.scores["acc"] for run in read("predict")]
    assert math.log(SAID["results"]["predict"]["perplexity,none"]) == pytest.approx(
        -sum(run.scores["perplexity"] for run in read("predict")) / 6
    )


def test_a_filter_or_score_that_the_log_does_not_have_is_named_with_those_it_has() -> None:
    with pytest.raises(BadLog, match="no filter named 'loose': known here: strict, voted"):
        read("say", score="exact_match,loose")
    with pytest.raises(BadLog, match="no score named 'f1': known here: exact_match"):
        read("say", score="f1")


@pytest.mark.parametrize("metric", ["acc", "acc_norm"])
def test_the_choice_is_the_one_the_tool_marked_and_its_confidence_its_share_of_likelihood(metric: str) -> None:
    for run, line in zip(read("choose", score=metric), lines("choose"), strict=True):
        chosen = line["doc"]["choices"].index(run.messages[1].text.strip())
        assert (chosen == line["doc"]["label"]) == bool(line[metric])
        likelihood = [math.exp(float(reply[0][0])) for reply in line["resps"]]
        assert run.confidence == pytest.approx(likelihood[chosen] / sum(likelihood))


def test_an_answer_without_choices_has_no_confidence() -> None:
    assert all(math.isnan(run.confidence) for run in [*read("say"), *read("predict")])


def test_model_and_task_are_those_of_the_results() -> None:
    run = read("choose")[0]
    assert (run.model, run.task) == (SAID["model_name"], "choose")


def test_prompt_and_answer_are_the_messages() -> None:
    assert [(message.role, message.text) for message in read("say")[0].messages] == [
        ("user", "Question 0?"),
        ("assistant", "lol"),
    ]


def test_documents_that_begin_again_without_a_filters_name_count_once(tmp_path: Path) -> None:
    old = [{key: value for key, value in line.items() if key not in ("filter", "metrics")} for line in lines("say")]
    (tmp_path / "samples_old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    runs = list(LmEval().read(tmp_path / "samples_old.jsonl", Options()))
    assert [run.item for run in runs] == ["0", "1", "2", "3", "4", "5"]
    assert [run.success for run in runs] == [run.success for run in read("say")]
