"""The model in the repository."""

from __future__ import annotations

import json

import pytest

from backend.encoders.catalogue import shipped_folder
from backend.encoders.checkpoint import load_checkpoint
from backend.encoders.model_card import model_card
from backend.refine.weights import ScoreWeights

MODELS = sorted(shipped_folder().glob("*.safetensors"))


def test_there_is_one() -> None:
    assert MODELS


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
class TestShipped:
    def test_small_with_checksum_and_card(self, path) -> None:
        assert path.stat().st_size <= 20_000_000
        assert path.with_name(path.name + ".sha256").is_file()  # it is compared whenever the model is loaded
        card = model_card(path)
        for word in ("Data", "terms", "Known failures", "revision", " m"):
            assert word in card, word

    def test_loads_and_is_calibrated(self, path) -> None:
        loaded = load_checkpoint(path)
        assert loaded.encoder.layout.layers == (2, 3)
        assert ScoreWeights.of_model(loaded.metadata) != ScoreWeights()

    def test_names_no_place_of_the_machine_it_was_trained_on(self, path) -> None:
        metadata = load_checkpoint(path).metadata
        configuration = json.loads(metadata["configuration"])
        for place in (
            configuration["output"],
            configuration["data"]["root"],
            configuration["encoder"]["weights"],
        ):
            assert "/" not in place and "\\" not in place
