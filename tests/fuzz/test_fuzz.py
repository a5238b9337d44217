"""A short run of the fuzzer, and what it is worth; ``nox -s fuzz`` has the long one."""

import os
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import fuzz_files
import mutation
import pytest

import fastnn
from fastnn.io import strict_json


@pytest.mark.parametrize("path", sorted(mutation.CORPUS.iterdir()), ids=lambda path: path.name)
def test_the_corpus_is_sound(path):
    """Files of version 1, which every later version has to load; taken apart and put together."""
    net = fastnn.load(path)
    assert net.layer_sizes and fuzz_files.judge(path.read_bytes()) == "a network"
    assert fuzz_files.judge(mutation.Seed(path).whole()) == "a network"


def test_some_thousands():
    """Most are refused, for dozens of reasons: the mutants come far."""
    outcomes = fuzz_files.fuzz(5000, seed=1)
    assert outcomes.total() == 5000
    assert len(outcomes) > 40 and 100 < outcomes["a network"] < 1000


@pytest.mark.parametrize("error", [KeyError("W1"), RecursionError(), MemoryError()])
def test_what_leaks_is_found_and_kept(monkeypatch, tmp_path, error):
    monkeypatch.setattr(fuzz_files, "FOUND", tmp_path / "found")
    loads, count = strict_json.loads, 0

    def leaky(what, text):
        nonlocal count
        count += 1
        if count == 100:
            raise error
        return loads(what, text)

    monkeypatch.setattr(strict_json, "loads", leaky)
    with pytest.raises(type(error)):
        fuzz_files.fuzz(1000, seed=2)
    monkeypatch.undo()
    (kept,) = (tmp_path / "found").iterdir()
    assert fuzz_files.judge(kept.read_bytes()), "it can be looked at again, and is right now"


def test_one_seed_gives_the_same_inputs():
    assert fuzz_files.fuzz(300, seed=3) == fuzz_files.fuzz(300, seed=3)


def test_any_number_of_processes_judges_the_same(monkeypatch):
    monkeypatch.setattr(fuzz_files, "PORTION", 200)
    wanted = fuzz_files.fuzz(200, "4.0") + fuzz_files.fuzz(100, "4.1")
    for cores in (1, 2):
        monkeypatch.setattr(fuzz_files, "cores", lambda cores=cores: cores)
        assert fuzz_files.fuzz_in_processes(300, seed=4) == wanted


def test_a_process_that_dies_is_noticed(monkeypatch):
    monkeypatch.setattr(fuzz_files, "limit_memory", partial(os._exit, 1))
    with pytest.raises(BrokenProcessPool):
        fuzz_files.fuzz_in_processes(300, seed=4)
