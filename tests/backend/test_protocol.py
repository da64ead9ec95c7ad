"""Messages between plugin and worker: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import ast
import json
import math
import sys
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import messages, protocol
from backend.heads import HEADS
from backend.labeling import LabelOptions
from backend.protocol import (
    MAX_REPLY,
    MAX_REQUEST,
    Accuracy,
    Cancel,
    Cancelled,
    Error,
    Estimate,
    Finetune,
    Inspect,
    KeepModel,
    Label,
    Log,
    Material,
    Models,
    Partial,
    Pause,
    Ping,
    Preview,
    Progress,
    ProtocolError,
    Quit,
    Ready,
    Result,
    Resume,
    SamplePoints,
    Uncertain,
    Vectorize,
    decode_reply,
    decode_request,
    encode,
)
from backend.refine.densecrf import CrfParameters

LABEL = {"op": "label", "id": 1, "raster": "a.tif", "support": "b.gpkg", "output": "c.tif"}

ids = st.integers(0, 2**53)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
texts = st.text(st.characters(), max_size=30)  # with halves of surrogate pairs
finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.lists(st.integers(1, 100_000), min_size=1, max_size=8).map(tuple)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
json_objects = st.dictionaries(texts, json_values, max_size=4)
stretches = st.integers(1, 4).flatmap(lambda n: st.tuples(*[st.tuples(*[finite] * n)] * 2))
labeling = {
    "id": ids, "raster": names, "support": names, "class_field": names, "name_field": names,
    "model": st.none() | names, "layers": st.none() | numbers,
    "head": st.sampled_from(HEADS), "spectral": st.booleans(),
    "bands": st.none() | numbers, "scale": st.none() | finite, "crf": st.booleans(), "device": names,
    "tile": st.integers(384, 8192), "support_rasters": st.none() | st.lists(names, min_size=1, max_size=3).map(tuple),
    "stretch": st.none() | stretches,
    "classes": st.none() | st.lists(json_objects, min_size=1, max_size=3).map(tuple),
}  # fmt: skip
finetuning = {
    "id": ids, "data": st.none() | st.lists(json_objects, min_size=1, max_size=3).map(tuple),
    "classes": labeling["classes"], "ignored": st.none() | st.lists(st.integers(0, 65_535)).map(tuple),
    "bands": labeling["bands"], "stretch": labeling["stretch"], "base": st.none() | names,
    "hold_out": st.sampled_from(["auto", "raster", "group"]), "minutes": st.none() | finite,
    "iterations": st.none() | st.integers(1, 1_000_000), "trained": st.sampled_from(["upper", "all", "last"]),
    "learning_rate": st.none() | finite, "crop": st.integers(96, 1024), "device": names,
    "threads": st.none() | st.integers(1, 1024), "seed": ids,
}  # fmt: skip
saving = {"replace": st.booleans(), "keep_worse": st.booleans()}
extents = st.tuples(finite, finite, finite, finite)
some_part = {"extent": st.none() | extents, "extent_crs": st.none() | names, "area": st.none() | names}
requests = st.one_of(
    st.builds(
        Label, output=names, confidence=st.none() | names, vector=st.none() | names,
        **some_part, **labeling,
    ),
    st.builds(
        Preview, folder=names, extent=extents, extent_crs=st.none() | names, width=st.integers(1, 20_000),
        height=st.integers(1, 20_000), **labeling,
    ),
    st.builds(Uncertain, count=st.integers(1, 100), **labeling),
    st.builds(Estimate, output=names, **some_part, **labeling),
    st.builds(Vectorize, id=ids, labels=names, output=names, sieve=ids, simplify=finite),
    st.builds(
        Accuracy, id=ids, labels=names, reference=names, class_field=names, support=st.none() | names,
        confidence=st.none() | names, report=st.none() | names, csv=st.none() | names,
        reference_name=st.none() | names, support_name=st.none() | names,
    ),
    st.builds(
        SamplePoints, id=ids, labels=names, output=st.none() | names, count=st.none() | st.integers(1, 10**6),
        standard_error=finite, expected=st.none() | st.lists(json_objects, min_size=1, max_size=3).map(tuple),
        minimum=st.integers(0, 10**6), seed=ids, support=st.none() | names,
    ),
    st.builds(Material, estimate=st.booleans(), **finetuning),
    st.builds(Finetune, folder=names, resume=st.booleans(), name=st.none() | names, **saving, **finetuning),
    st.builds(KeepModel, id=ids, folder=names, name=names, **saving),
    st.builds(Inspect, id=ids, raster=names, bands=st.none() | numbers),
    st.builds(Models, id=ids),
    st.builds(Cancel, id=ids, target=ids),
    st.builds(Pause, id=ids, target=ids),
    st.builds(Resume, id=ids, target=ids),
    st.builds(Ping, id=ids),
    st.builds(Quit, id=ids),
)  # fmt: skip
replies = st.one_of(
    st.builds(Ready, protocol=ids, version=names, python=names, pid=ids),
    st.builds(
        Progress, id=ids, stage=names, done=ids, total=ids, megapixels=finite, seconds_left=st.none() | finite
    ),
    st.builds(
        Log, id=st.none() | ids, level=st.sampled_from(["info", "warning", "error"]), text=texts
    ),
    st.builds(Partial, id=ids, value=json_objects),
    st.builds(Result, id=ids, value=json_objects),
    st.builds(
        Error, id=st.none() | ids, kind=st.sampled_from(["user", "internal", "protocol"]), message=texts,
        detail=st.none() | texts,
    ),
    st.builds(Cancelled, id=ids),
)  # fmt: skip


class TestRoundTrip:
    @given(requests)
    def test_requests(self, request_) -> None:
        line = encode(request_)
        assert decode_request(line) == request_
        assert decode_request(line.encode()) == request_
        assert line.isascii() and line.count("\n") == 1 and line.endswith("\n")

    @given(replies)
    def test_replies(self, reply) -> None:
        line = encode(reply)
        assert decode_reply(line) == reply
        assert line.isascii() and line.count("\n") == 1 and line.endswith("\n")

    def test_every_message_type_is_tested(self) -> None:
        kinds = {
            value
            for value in vars(messages).values()
            if isinstance(value, type) and issubclass(value, messages._Message) and hasattr(value, "KIND")
        }
        asked = (
            Label, Preview, Uncertain, Estimate, Vectorize, Accuracy, SamplePoints, Material, Finetune, KeepModel,
            Inspect, Models, Cancel, Pause, Resume, Ping, Quit,
        )  # fmt: skip
        answered = (Ready, Progress, Partial, Log, Result, Error, Cancelled)
        assert kinds == {*asked, *answered}
        assert set(messages.REQUESTS) == set(asked) and set(messages.REPLIES) == set(answered)

    def test_keys_on_the_wire(self) -> None:
        assert json.loads(encode(Ping(3))) == {"op": "ping", "id": 3}
        assert json.loads(encode(Cancelled(3))) == {"type": "cancelled", "id": 3}

    def test_file_names_that_are_not_utf8(self) -> None:
        request = Inspect(1, b"caf\xe9.tif".decode("utf-8", "surrogateescape"))
        assert decode_request(encode(request)) == request


class TestRequests:
    def test_only_the_files_are_required(self) -> None:
        request = decode_request(json.dumps(LABEL))
        assert isinstance(request, Label)
        assert (request.crf, request.bands, request.tile) == (True, None, 704)

    def test_defaults_are_those_of_the_backend(self) -> None:
        optional = [item for item in fields(Label) if item.default not in (MISSING, messages.REQUIRED)]
        given = {item.name: item.default for item in optional}
        backend = asdict(LabelOptions())
        assert backend["crf"] == asdict(CrfParameters())
        expected = {name: True if name == "crf" else backend[name] for name in given if name != "extent_crs"}
        assert {name: value for name, value in given.items() if name != "extent_crs"} == expected
        assert backend.keys() - given.keys() == {"weights"}

    def test_lists_become_tuples_and_whole_numbers_become_floats(self) -> None:
        request = decode_request(
            json.dumps({**LABEL, "bands": [4, 3, 2], "scale": 2, "extent": [0, 1, 2, 3]})
        )
        assert isinstance(request, Label)
        assert request.bands == (4, 3, 2)
        assert repr(request.scale) == "2.0"
        assert repr(request.extent) == "(0.0, 1.0, 2.0, 3.0)"

    def test_unknown_fields_are_passed_over(self) -> None:
        assert decode_request('{"op": "ping", "id": 1, "later": [1]}') == Ping(1)

    @pytest.mark.parametrize("name", ["id", "raster", "support", "output"])
    def test_missing_field(self, name: str) -> None:
        with pytest.raises(ProtocolError, match=f"'{name}' of 'label' is missing"):
            decode_request(json.dumps({key: value for key, value in LABEL.items() if key != name}))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("id", True), ("id", -1), ("id", 1.0), ("id", "1"), ("id", None), ("id", 2**53 + 1), ("id", [1]),
            ("raster", ""), ("raster", 1), ("raster", None), ("raster", "a\0b"), ("raster", "\ud800.tif"),
            ("crf", 1), ("crf", "true"), ("crf", None), ("spectral", 0),
            ("scale", True), ("scale", "2"), ("scale", 10**19), ("tile", 383), ("tile", 8193), ("tile", 704.0),
            ("bands", []), ("bands", [True]), ("bands", [0]), ("bands", "4,3,2"), ("bands", [1.5]),
            ("bands", [1] * 1001), ("bands", {"0": 1}), ("head", "none"), ("head", 1), ("head", ["auto"]),
            ("extent", [1, 2, 3]), ("extent", [1, 2, 3, "4"]), ("extent", [1, 2, 3, False]), ("extent", "1,2,3,4"),
            ("device", ""), ("model", 0), ("confidence", []), ("class_field", ""),
        ],
    )  # fmt: skip
    def test_wrong_value(self, name: str, value: object) -> None:
        with pytest.raises(ProtocolError, match=f"^The field '{name}' of 'label' must be .*\\.$") as caught:
            decode_request(json.dumps({**LABEL, name: value}))
        assert caught.value.id == (None if name == "id" else 1)
        with pytest.raises(ProtocolError):
            Label(**{key: item for key, item in {**LABEL, name: value}.items() if key != "op"})  # type: ignore[arg-type]

    @pytest.mark.parametrize("op", ["ready", "shout", "", None, 1, ["ping"], {"op": "ping"}])
    def test_unknown_operation(self, op: object) -> None:
        with pytest.raises(ProtocolError, match="names no known message") as caught:
            decode_request(json.dumps({"op": op, "id": 7}))
        assert caught.value.id == 7


class TestLines:
    @pytest.mark.parametrize(
        "line",
        [
            "", "\n", "ping", "{", '{"op":"ping","id":1', '{"op":"ping","id":1}}', "{'op':'ping'}", b"\xff\xfe{}",
            b"\x80", '{"op":"label","id":NaN}', '{"op":"ping","id":1,"x":Infinity}', '{"op":"ping","id":1,"x":1e999}',
            '{"op":"ping","id":1,"x":-Infinity}', '{"op":"ping","id":' + "9" * 5000 + "}", "[" * 100_000,
            '{"a":' * 100_000, "\0" * 50,
        ],
    )  # fmt: skip
    def test_not_json(self, line: str | bytes) -> None:
        for decode in (decode_request, decode_reply):
            with pytest.raises(ProtocolError, match="is not JSON"):
                decode(line)

    @pytest.mark.parametrize("line", ["1", "null", '"ping"', "[]", '[{"op":"ping","id":1}]', "true"])
    def test_not_an_object(self, line: str) -> None:
        with pytest.raises(ProtocolError, match="not a JSON object"):
            decode_request(line)

    def test_length(self) -> None:
        start = '{"op":"ping","id":1}'
        assert decode_request(start + " " * (MAX_REQUEST - len(start))) == Ping(1)
        with pytest.raises(ProtocolError, match="more than"):
            decode_request(start + " " * MAX_REQUEST)
        with pytest.raises(ProtocolError, match="more than"):
            encode(Inspect(1, "x" * MAX_REQUEST))
        with pytest.raises(ProtocolError, match="more than"):
            encode(Result(1, {"x": "x" * MAX_REPLY}))

    @given(st.binary(max_size=60) | st.text(max_size=60))
    def test_anything_else_is_refused_with_one_sentence(self, line: str | bytes) -> None:
        for decode in (decode_request, decode_reply):
            with pytest.raises(ProtocolError) as caught:
                decode(line)
            assert str(caught.value).endswith(".")

    @given(
        st.dictionaries(st.sampled_from([item.name for item in fields(Label)]), json_values), st.booleans()
    )
    def test_any_fields_are_a_label_or_refused(self, values: dict[str, Any], whole: bool) -> None:
        try:
            request = decode_request(json.dumps({**(LABEL if whole else {}), **values, "op": "label"}))
        except ProtocolError:
            return
        assert decode_request(encode(request)) == request


class TestReplies:
    @pytest.mark.parametrize(
        "value", [math.nan, math.inf, {1: 2}, {"a": object()}, {"a": [math.nan]}, [], "x", 10**400]
    )
    def test_a_result_is_an_object_of_json_values(self, value: Any) -> None:
        with pytest.raises(ProtocolError, match="'value' of 'result'"):
            Result(1, value)
        with pytest.raises(ProtocolError):
            Result(1, {"inside": value} if value not in ([], "x") else value)

    @pytest.mark.parametrize("number", [math.nan, math.inf, 10**400, True, "1"])
    def test_progress_takes_finite_numbers(self, number: Any) -> None:
        with pytest.raises(ProtocolError, match="'megapixels' of 'progress'"):
            Progress(1, "labels", 1, 2, number)

    def test_deep_values_are_refused(self) -> None:
        value: dict[str, Any] = {}
        for _ in range(100_000):
            value = {"a": value}
        with pytest.raises(ProtocolError):
            Result(1, value)

    def test_requests_are_no_replies(self) -> None:
        with pytest.raises(ProtocolError):
            decode_reply(encode(Ping(1)))
        with pytest.raises(ProtocolError):
            decode_request(encode(Cancelled(1)))


@pytest.mark.parametrize("name", ["protocol.py", "messages.py", "checks.py", "heads/__init__.py"])
def test_the_plugin_can_import_it(name: str) -> None:
    """Standard library only, in the syntax of Python 3.9."""
    source = (Path(protocol.__file__).parent / name).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules |= {str(node.module).partition(".")[0] for node in froms if node.level == 0}
    assert modules <= set(sys.stdlib_module_names)
    assert {node.module or node.names[0].name for node in froms if node.level} <= {
        "checks",
        "heads",
        "messages",
    }
