"""Jobs: what they say, how they end, and that they can be cancelled."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def job(plugin_module):
    return plugin_module("plugin.client.job").Job


@pytest.fixture(scope="module")
def errors(plugin_module):
    return plugin_module("plugin.client.errors")


def test_says_and_results(job):
    ended = []
    work = job(lambda say, cancel: [say(n) for n in range(3)] and 42, "Work", ended.append)
    assert work.join(10)
    assert (work.result, work.error) == (42, None)
    assert work.said() == ([0, 1, 2], 3)
    assert work.said(2) == ([2], 3)
    assert work.said(3) == ([], 3)
    assert ended == [work] or work.join(0.5)


def test_of_much_the_beginning_is_forgotten(job):
    work = job(lambda say, cancel: [say(n) for n in range(5000)] and None)
    assert work.join(10)
    said, count = work.said()
    assert count == 5000
    assert said == list(range(3000, 5000))
    assert work.said(4990)[0] == list(range(4990, 5000))


def test_cancel_reaches_the_work(job, errors):
    def wait(say, cancel):
        assert cancel.wait(10)
        raise errors.SetupCancelled("It was cancelled.")

    work = job(wait)
    assert not work.join(0.1)
    work.cancel()
    assert work.join(5)
    assert work.cancelled
    assert isinstance(work.error, errors.SetupCancelled)


def test_mistake_becomes_an_error_with_one_sentence(job, errors, caplog):
    work = job(lambda say, cancel: 1 / 0, "Installation")
    assert work.join(5)
    assert isinstance(work.error, errors.ClientError)
    assert str(work.error) == "Installation failed: ZeroDivisionError: division by zero."
    assert "Traceback" in caplog.text
