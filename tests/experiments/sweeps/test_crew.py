"""A Dask worker gets work only if it has our versions, the project and the data."""

import inspect
import time
from concurrent.futures import Future

import pytest

from experiments.config import ConfigError
from experiments.datasets import fingerprint
from experiments.sweeps.executors import WorkerLost, crew, enquiry, outcomes
from experiments.sweeps.executors.cluster import Dask
from experiments.sweeps.executors.crew import Crew, CrewWarning

DATA = {"moons(n=60)": fingerprint("moons(n=60)")}
HERE = enquiry.facts(DATA)


class Client:
    """Stands for a scheduler: its workers, what each answers, and how often it was asked."""

    status = "running"

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def nthreads(self):
        return dict.fromkeys(self.answers, 1)

    def run(self, function, question, *, workers, on_error):
        assert (function, on_error) == (eval, "return")
        self.asked += workers
        return {at: self.answers[at] for at in workers if at in self.answers}


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    for name, seconds in (("FIRST_WAIT", 0.2), ("LATER_WAIT", 0.2), ("SOON", 0.05), ("BETWEEN", 0.01)):
        monkeypatch.setattr(crew, name, seconds)


def test_the_question_is_answered_where_the_project_cannot_be_imported():
    question = enquiry.question(inspect.getsource(enquiry), DATA)
    assert eval(question) == HERE
    assert HERE["data"] == DATA
    assert enquiry.difference(HERE, HERE) == ""


BAD = {
    "numpy 1.0 there, .* here": HERE | {"numpy": "1.0"},
    "python 3.9 there, 3": HERE | {"python": "3.9"},
    "version of the numbers 1 there": HERE | {"version of the numbers": 1},
    "other data there: moons": HERE | {"data": {"moons(n=60)": "edited"}},
    "the project is not there": {"python": HERE["python"], "fault": "the project is not there or …"},
    "it cannot answer .*SyntaxError": SyntaxError("another Python"),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_worker_is_left_out_with_a_line_and_the_good_one_works(reason):
    client = Client(good=HERE, bad=BAD[reason])
    found = Crew(client, "tcp://s:1", DATA)
    with pytest.warns(CrewWarning, match=rf"^--dask tcp://s:1: bad left out: .*{reason}"):
        found.gather()
    assert found.threads() == {"good": 1}
    assert found.allowed() == ["good"]
    assert sorted(client.asked) == ["bad", "good"]  # once each


@pytest.mark.parametrize("reason", BAD)
def test_where_all_are_bad_nothing_is_waited_for(reason):
    with pytest.raises(ConfigError, match=rf"no worker can be used: .*{reason}"), pytest.warns(CrewWarning):
        Crew(Client(bad=BAD[reason]), "tcp://s:1", DATA).gather()


def test_where_there_is_nobody_it_is_said_and_then_refused():
    with (
        pytest.raises(ConfigError, match=r"no worker within 0.2 s; start one with: dask worker tcp://s:1"),
        pytest.warns(CrewWarning, match="no worker is there yet; waiting for up to 0.2 s"),
    ):
        Crew(Client(), "tcp://s:1", DATA).gather()


def test_a_worker_that_joins_late_is_asked_too():
    client = Client(first=HERE)
    found = Crew(client, "tcp://s:1", DATA)
    found.gather()
    assert found.allowed() is None
    client.answers |= {"second": HERE, "third": HERE | {"numpy": "1.0"}}
    with pytest.warns(CrewWarning, match="third left out: numpy 1.0 there"):
        assert found.threads() == {"first": 1, "second": 1}
    assert found.allowed() == ["first", "second"]


def test_a_worker_that_leaves_while_it_is_asked_is_asked_when_it_is_back():
    client = Client(first=OSError("gone"))
    found = Crew(client, "tcp://s:1", DATA)
    assert found.threads() == {}
    client.answers["first"] = HERE
    assert found.threads() == {"first": 1}


def test_a_sweep_whose_workers_have_all_left_ends_after_a_while():
    client = Client(first=HERE)
    found = Crew(client, "tcp://s:1", DATA)
    found.gather()
    assert found.check()
    client.answers.clear()
    assert not found.check()
    time.sleep(0.25)
    with pytest.raises(ConfigError, match=r"no worker has been there for 0.2 s; finished runs are stored"):
        found.check()


class Deserted:
    """An executor with room but nobody to do the work."""

    capacity = 1

    def __init__(self):
        self.manned, self.futures = True, []

    def check(self):
        return self.manned

    def submit(self, *_):
        self.futures.append(Future())
        self.futures[-1].set_running_or_notify_cancel()
        return self.futures[-1]


def test_a_stop_does_not_wait_for_work_that_nobody_is_doing():
    executor = Deserted()
    pressed = []

    def stopped():
        executor.manned = not executor.futures  # all workers leave once there is work
        pressed.append(1)
        return len(pressed) > 2

    assert list(outcomes([["a"], ["b"]], len, executor, stopped)) == []


def test_work_whose_workers_have_left_is_given_up_and_not_waited_for():
    client, executor = Client(first=HERE, bad=HERE | {"numpy": "1.0"}), Dask.__new__(Dask)
    executor._client, executor._crew, executor._address = client, Crew(client, "s:1", DATA), "s:1"
    with pytest.warns(CrewWarning):
        executor._crew.gather()
    future: Future = Future()
    executor._where = {future: ["first"]}
    assert executor.check()
    assert not future.done()
    client.answers = {"second": HERE}
    assert executor.check()
    assert isinstance(future.exception(), WorkerLost)
