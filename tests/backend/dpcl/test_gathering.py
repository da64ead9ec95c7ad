from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing

from backend.dpcl.gathering import gather_keys, process_index


def test_one_process_keeps_its_own():
    keys, labels, valid = torch.randn(3, 2), torch.tensor([4, 5, 6]), torch.tensor([True, False, True])
    found, found_labels = gather_keys(keys, labels, valid)
    assert found.equal(keys[[0, 2]]) and found_labels.tolist() == [4, 6]
    assert process_index() == 0


def _gather(index: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=index, world_size=2)
    valid = torch.tensor([True, index == 1])
    found, labels = gather_keys(torch.full((2, 3), float(index)), torch.tensor([1, 2]) + 10 * index, valid)
    torch.save((found, labels, process_index()), f"{folder}/{index}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_share_their_keys(tmp_path: Path):
    processes = torch.multiprocessing.get_context("spawn")
    started = [processes.Process(target=_gather, args=(index, str(tmp_path))) for index in range(2)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
        assert process.exitcode == 0
    for index in range(2):
        keys, labels, rank = torch.load(tmp_path / f"{index}.pt")
        assert labels.tolist() == [1, 11, 12] and keys[:, 0].tolist() == [0, 1, 1] and rank == index
