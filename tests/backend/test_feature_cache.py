"""The cache of features: bounded in memory and on the disk, and the same features come out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from backend.feature_cache import FeatureCache, PatchFeatures
from backend.rasters.grid import Tile

PATCH, WINDOW = Tile(2, 5, 16, 24, 40, 47), Tile(1, 4, 8, 40, 32, 60)
CHANNELS = 16


def features(seed: int, tile: Tile | None = None) -> PatchFeatures:
    tile = tile or PATCH
    generator = torch.Generator().manual_seed(seed)
    shape = CHANNELS, tile.y1 - tile.y0, tile.x1 - tile.x0
    return PatchFeatures.of(tile, tile, 100 * torch.randn(shape, generator=generator))


SIZE = features(0).size


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def cache(temporary) -> Iterator[FeatureCache]:
    cache = FeatureCache(memory=3 * SIZE, disk=2 * SIZE)
    yield cache
    cache.close()


class TestPatchFeatures:
    def test_direction_and_length_are_kept(self) -> None:
        whole = 300 * torch.randn(CHANNELS, 32, 28)
        kept = PatchFeatures.of(PATCH, WINDOW, whole)
        own = whole[:, 8:16, 8:15]
        assert kept.patch == PATCH and kept.rows.shape == (56, CHANNELS)
        again = (kept.rows.float() * kept.norms[:, None]).T.reshape(own.shape)
        assert torch.allclose(again, own, atol=1e-3 * float(own.norm(dim=0).max()))

    def test_what_half_precision_cannot_hold(self) -> None:
        whole = torch.full((CHANNELS, 8, 7), 1e6)
        whole[:, 0, 0] = 0.0
        kept = PatchFeatures.of(PATCH, PATCH, whole)
        assert torch.isfinite(kept.rows).all()
        assert kept.rows[0].abs().max() == 0 and kept.norms[1] == pytest.approx(4e6)

    def test_nothing(self) -> None:
        kept = PatchFeatures.of(PATCH, WINDOW, None)
        assert kept.empty and kept.size == 0


class TestCache:
    def test_what_leaves_the_memory_comes_back(self, cache, temporary) -> None:
        for key in range(5):
            cache.put(key, features(key))
        assert [cache.in_memory(key) for key in range(5)] == [False, False, True, True, True]
        assert sum(path.stat().st_size for path in temporary.rglob("*.bin")) == 2 * SIZE
        for key in range(5):
            kept, expected = cache.get(key), features(key)
            assert kept.patch == expected.patch
            assert torch.equal(kept.rows, expected.rows) and torch.equal(kept.norms, expected.norms)

    def test_disk_is_bounded(self, cache, temporary) -> None:
        for key in range(10):
            cache.put(key, features(key))
        assert [key in cache for key in range(10)] == 5 * [False] + 5 * [True]
        assert cache.get(0) is None
        assert len(list(temporary.rglob("*.bin"))) == 2

    def test_what_was_used_stays(self, cache) -> None:
        for key in range(3):
            cache.put(key, features(key))
        cache.get(0)
        cache.put(3, features(3))
        assert cache.in_memory(0) and not cache.in_memory(1)

    def test_nodata_costs_nothing(self, cache) -> None:
        for key in range(100):
            cache.put(key, PatchFeatures.of(PATCH, WINDOW, None))
        assert all(cache.in_memory(key) for key in range(100))

    def test_file_that_is_gone(self, cache, temporary) -> None:
        for key in range(4):
            cache.put(key, features(key))
        for path in temporary.rglob("*.bin"):
            path.unlink()
        assert 0 in cache and cache.get(0) is None and 0 not in cache

    def test_put_again_counts_once(self, cache) -> None:
        for _ in range(10):
            cache.put(1, features(1))
        cache.put(2, features(2))
        cache.put(3, features(3))
        assert all(cache.in_memory(key) for key in (1, 2, 3))

    def test_discard(self, cache, temporary) -> None:
        for key in range(5):
            cache.put(key, features(key))
        cache.discard(lambda key: key != 4)
        assert [key in cache for key in range(5)] == [False, False, False, False, True]
        assert not list(temporary.rglob("*.bin"))

    def test_close_leaves_nothing(self, temporary) -> None:
        cache = FeatureCache(memory=SIZE, disk=10 * SIZE)
        for key in range(4):
            cache.put(key, features(key))
        cache.close()
        assert not list(temporary.iterdir())
        cache.put(1, features(1))  # a tile that was still under way
        cache.put(2, features(2))
        assert not list(temporary.iterdir())

    def test_no_room_on_the_disk(self, temporary) -> None:
        cache = FeatureCache(memory=SIZE, disk=SIZE // 2)
        cache.put(1, features(1))
        cache.put(2, features(2))
        assert 1 not in cache and 2 in cache
        cache.close()

    def test_many_threads(self, cache) -> None:
        wrong: list[int] = []

        def work(first: int) -> None:
            for number in range(first, first + 40):
                key = number % 7
                cache.put(key, features(key))
                kept = cache.get((number + 3) % 7)
                if kept is not None and not torch.equal(kept.rows, features((number + 3) % 7).rows):
                    wrong.append(number)

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
