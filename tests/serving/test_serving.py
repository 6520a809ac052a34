"""The served model: one pyfunc for every task, the task in the request."""

from __future__ import annotations

import base64
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image
from tokenizers import AddedToken

from components.params.register import ServingParams
from components.serving import model as serving
from components.serving.request_images import ROOT_VARIABLE

TASKS = {
    "count": {"prompt_form": "Count every {phrase}.", "phrase": "person", "answer_as": "points", "thinking": "none"},
    "ground": {"prompt_form": "Find: {phrase}", "phrase": "x", "answer_as": "box", "thinking": "none"},
    "read": {"prompt_form": "Read.", "phrase": None, "answer_as": "text", "thinking": "none"},
    "detect": {"prompt_form": "Find every person.", "phrase": None, "answer_as": "boxes", "thinking": "look"},
}
SAYS = {
    "Count every person.": "<answer>[[3,4],[10,10]]</answer>",
    "Count every cat.": "<answer>7</answer>",
    "Find: the red one": "<answer>[1,2,30,40]</answer>",
    "Read.": "<answer>12 b</answer>",
    "Find every person.": '<think>t</think><look>[]</look><answer>[{"bbox_2d":[1,2,3,4],"label":"person"}]</answer>',
}


class Policy:
    """Answers by the prompt's words; `asked` keeps what it was asked with."""

    def __init__(self) -> None:
        images = SimpleNamespace(size={"shortest_edge": 4096, "longest_edge": 4096}, patch_size=8, merge_size=2)
        special = {0: AddedToken("<|image_pad|>", special=True), 1: AddedToken("<answer>", special=False)}
        self.processor = SimpleNamespace(
            image_processor=images, tokenizer=SimpleNamespace(added_tokens_decoder=special)
        )
        self.asked: list[Any] = []

    def complete(
        self, images: list[Any], prompts: list[Any], limit: int | None, seconds: float | None
    ) -> list[dict[str, Any]]:
        self.asked.append((len(images), limit, seconds))
        return [
            {"text": SAYS[prompt[0]["content"]], "answer_tokens": [(0, 999, 0.0)], "finish_reason": "stop",
             "token_count": 5}
            for prompt in prompts
        ]  # fmt: skip


CONFIG = {"tasks": TASKS, "frame": "resized", "max_new_tokens": 8, "bf16": False} | ServingParams(
    most_pixels=10_000, most_bytes=50_000, most_prompt_bytes=200, most_new_tokens=100, most_seconds=60.0
).model_dump()


def picture(width: int = 64, height: int = 64, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, kind)
    return buffer.getvalue()


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture
def policy() -> Policy:
    return Policy()


@pytest.fixture
def model(policy: Policy) -> Any:
    """predict(rows, options) as MLflow calls it."""
    made = serving.LookoutModel()
    made._policy = policy  # type: ignore[assignment]
    return lambda rows, options=None: made.predict(SimpleNamespace(model_config=CONFIG), rows, options)


@pytest.fixture
def ask(model: Any) -> Any:
    def predict(rows: Any, **options: Any) -> list[dict[str, Any]]:
        given = [{"image": base64_of(picture())} | row for row in rows]
        return model(options.pop("as_table", list)(given), options)

    return predict


def test_each_row_is_answered_in_its_own_task(ask: Any) -> None:
    rows = [{}, {"task": "ground", "phrase": "the red one"}, {"task": "read"}, {"task": "detect"}]
    for table in (list, pd.DataFrame):  # a table has NaN where a row says nothing
        count, ground, read, detect = ask(rows, as_table=table)
        assert (count["task"], count["count"], count["points"]) == ("count", 2, [[3, 4], [10, 10]])
        assert (ground["boxes"], ground["labels"], ground["scores"]) == ([[1, 2, 30, 40]], [""], [1.0])
        assert (read["text"], read["boxes"], read["points"]) == ("12 b", [], [])
        assert (detect["labels"], detect["think"], detect["failure"]) == (["person"], "t", None)
        assert len({frozenset(one) for one in (count, ground, read, detect)}) == 1


def test_an_answer_in_another_grammar_is_a_failure_by_name(ask: Any) -> None:
    (said,) = ask([{"phrase": "cat"}])
    assert (said["failure"], said["count"], said["points"]) == ("bad_shape", 0, [])
    assert said["why"] == "a value has another shape than was asked for"
    assert said["said"]


def test_a_task_that_the_model_was_not_trained_for_is_refused(ask: Any) -> None:
    with pytest.raises(MlflowException, match=r"row 0: the task 'dream' is not this model's; it answers count, ground"):
        ask([{"task": "dream"}])


def test_points_are_drawn_too(ask: Any) -> None:
    (said,) = ask([{}], overlay=True)
    with Image.open(io.BytesIO(base64.b64decode(said["overlay"]))) as drawn:
        pixels = [drawn.convert("RGB").getpixel(place) for place in ((3, 4), (10, 10), (30, 4))]
    assert pixels == [(255, 122, 26), (255, 122, 26), (0, 0, 0)]


@pytest.fixture
def post(model: Any) -> Any:
    """A request to MLflow's own server around the model -> its status and what it says."""
    from fastapi.testclient import TestClient
    from mlflow.models import Model
    from mlflow.pyfunc import PyFuncModel, scoring_server

    from components.model_registry.packaging import signature

    meta = Model(signature=signature())
    meta.add_flavor("python_function", loader_module="none")
    impl = SimpleNamespace(predict=lambda rows, params=None: model(rows, params))
    client = TestClient(scoring_server.init(PyFuncModel(model_meta=meta, model_impl=impl)))

    def send(body: Any) -> tuple[int, str]:
        answer = client.post("/invocations", content=json.dumps(body), headers={"Content-Type": "application/json"})
        return answer.status_code, answer.text

    return send


LACKING = [{"inputs": [{}]}, {"inputs": [{"img": "x"}]}, {"inputs": ["a.jpg"]}, {"inputs": []}, {"inputs": "a"},
           {"dataframe_records": [{}]}, {"dataframe_split": {"columns": ["image"], "data": []}}]  # fmt: skip


@pytest.mark.parametrize("body", LACKING)
def test_a_request_without_an_image_is_a_400_that_names_the_row_and_what_it_lacks(post: Any, body: Any) -> None:
    status, said = post(body)
    assert (status, "row 0 has no image: want image (base64 or a data URI) or image_bytes" in said) == (400, True), said


def test_a_picture_may_come_as_base64_a_data_uri_or_bytes_and_a_row_without_one_is_named(post: Any) -> None:
    text = base64_of(picture())
    wrapped = "\n".join(text[start : start + 20] for start in range(0, len(text), 20))
    rows = [{"image": text}, {"image": f"data:image/png;base64,{text}"}, {"image": wrapped}]
    for body in ({"inputs": rows}, {"dataframe_records": rows}, {"inputs": [{"image_bytes": text}]},
                 {"dataframe_records": [{"image_bytes": text}]}):  # fmt: skip
        status, said = post(body)
        assert status == 200, said
        assert all(one["count"] == 2 for one in json.loads(said)["predictions"])
    status, said = post({"dataframe_records": [rows[0], {"img": text}]})
    assert (status, "row 1 has no image" in said) == (400, True)


def test_no_path_is_read_unless_a_root_is_named_and_then_none_beyond_it(
    post: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "in.png").write_bytes(picture())
    (tmp_path / "out.png").write_bytes(picture())
    (root / "link.png").symlink_to(tmp_path / "out.png")
    (root / "to_itself.png").symlink_to(root / "to_itself.png")
    (root / "own_link.png").symlink_to(root / "in.png")
    os.mkfifo(root / "pipe.png")

    def ask(given: Any) -> tuple[int, str]:
        return post({"inputs": [{"image": str(given)}]})

    refused = {given: ask(given) for given in (root / "in.png", tmp_path / "none.png", "/etc/passwd", "in.png")}
    assert {status for status, _ in refused.values()} == {400}
    same = {said.replace(str(given), "").replace(str(given)[:40], "") for given, (_, said) in refused.items()}
    assert len(same) == 1  # nobody learns which file is there
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    for inside in ("in.png", root / "in.png", "own_link.png"):
        assert ask(inside)[0] == 200
    beside = "../out.png", tmp_path / "out.png", "link.png", "none.png"
    outside = (*beside, "to_itself.png", "pipe.png", "/dev/zero", ".", "in\0.png")
    answers = [ask(given) for given in outside]
    assert {status for status, _ in answers} == {400}
    assert all("neither base64 nor a data URI" in said for _, said in answers)


BEYOND = [
    ({"image": base64_of(picture(101, 100))}, {}, "row 0: the image has 101 x 100 px; at most 10000 pixels"),
    ({"image": base64_of(b"x" * 50_001)}, {}, "row 0 has an image of more than 50000 bytes"),
    ({"image": "a" * 200_000}, {}, "row 0 has an image of more than 50000 bytes"),
    ({"image": base64_of(picture(kind="PPM"))}, {}, "row 0: the image is no image of the kinds JPEG"),
    ({"image": base64_of(picture()[:60])}, {}, "row 0: the image cannot be decoded to its end"),
    ({"image": base64_of(picture(1, 201))}, {}, "one side is over 200 times the other"),
    ({"prompt": "x" * 201}, {}, "row 0: the prompt is longer than 200 bytes"),
    ({"task": "ground", "phrase": "é" * 100}, {}, "row 0: the prompt is longer than 200 bytes"),
    ({"prompt": "see <|image_pad|>"}, {}, "row 0: the prompt holds <|image_pad|>"),
    ({"phrase": "\ud800"}, {}, "or no UTF-8"),
    ({}, {"max_new_tokens": 101}, "max_new_tokens is 101, want 0 (as measured) to 100"),
    ({}, {"max_new_tokens": -1}, "max_new_tokens is -1"),
]


@pytest.mark.parametrize(("row", "options", "sentence"), BEYOND, ids=[sentence for _, _, sentence in BEYOND])
def test_what_is_beyond_a_bound_is_refused_before_the_model_is_asked(
    ask: Any, policy: Policy, row: Any, options: Any, sentence: str
) -> None:
    with pytest.raises(MlflowException) as refused:
        ask([row], **options)
    assert sentence in str(refused.value)
    assert policy.asked == []


def test_so_many_pictures_are_decoded_at_once_as_the_bound_on_pixels_lets(model: Any, policy: Policy) -> None:
    big, small = ({"image": base64_of(picture(*size))} for size in ((90, 90), (40, 40)))
    model([small, small, big, small, big])
    assert [count for count, _, _ in policy.asked] == [3, 2]  # it ends with the picture that reaches the bound
    policy.asked.clear()
    model([{"image": base64_of(picture(4, 4))}] * 20)
    assert [count for count, _, _ in policy.asked] == [16, 4]


def test_a_request_that_takes_too_long_is_refused(ask: Any, policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask([{}], max_new_tokens=50)
    ((_, limit, seconds),) = policy.asked
    assert (limit, 50 < (seconds or 0) <= 60) == (50, True)
    clock = iter([0.0, 0.0, 61.0, 61.0])
    monkeypatch.setattr(serving.time, "monotonic", lambda: next(clock))
    complete = policy.complete
    monkeypatch.setattr(
        policy, "complete", lambda *given: [line | {"finish_reason": "length"} for line in complete(*given)]
    )
    with pytest.raises(MlflowException, match=r"was not answered within 60\.0 s"):
        ask([{}])


def test_a_version_answers_in_the_precision_that_it_was_measured_in(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(serving, "Policy", lambda *given: asked.append(given))
    context = SimpleNamespace(artifacts={"policy": "folder"}, model_config=CONFIG | {"bf16": True})
    serving.LookoutModel().load_context(context)
    assert asked == [(Path("folder"), 8, True)]
