"""Frames over sockets, and files in memory."""

from __future__ import annotations

import gc
import mmap
import os
import socket

import numpy as np
import psutil
import pytest

from edspipe.stream.executors.multiprocess import memory
from edspipe.stream.executors.multiprocess.channel import MAX_FILES, Channel
from edspipe.stream.executors.multiprocess.memory import attach, make_file, share
from edspipe.stream.executors.multiprocess.parcels import MIN_FILE_BYTES, Packing, Parcel
from edspipe.stream.hooks import Shared, WrongValue


@pytest.fixture
def pair():
    ours, theirs = (Channel(sock) for sock in socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def received(channel: Channel, sender: Channel, count: int) -> list:
    frames: list = []
    while len(frames) < count:
        sender.flush()
        new, ended = channel.receive()
        assert not ended
        frames.extend(new)
    return frames


@pytest.mark.parametrize("size", [0, 1, 1000, 10_000_000])
def test_frames_arrive_as_they_were_sent(pair, size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    pair[0].send(b"head", body)
    (frame,) = received(pair[1], pair[0], 1)
    assert (frame.head, bytes(frame.body), frame.file) == (b"head", body, None)
    assert not frame.body.readonly


def test_bodies_in_files_come_with_their_frames(pair):
    sent = [
        (str(i).encode(), make_file([b"a" * i, b"b"]) if i % 2 else b"c" * i)
        for i in range(5 * MAX_FILES)
    ]
    for head, body in sent:
        pair[0].send(head, body)
    frames = received(pair[1], pair[0], len(sent))
    for i, frame in enumerate(frames):
        assert frame.head == str(i).encode()
        assert bytes(frame.body) == (b"a" * i + b"b" if i % 2 else b"c" * i)


def test_a_sender_never_waits(pair):
    for _ in range(100):
        pair[0].send(b"", bytes(1_000_000))
    assert pair[0].has_unsent
    assert not pair[0].flush()
    assert len(received(pair[1], pair[0], 100)) == 100
    assert pair[0].flush()


def test_what_was_sent_before_the_end_arrives(pair):
    pair[0].send(b"last words", b"body")
    pair[0].close()
    frames, ended = pair[1].receive()
    assert [frame.head for frame in frames] == [b"last words"]
    assert ended


def test_half_a_frame_before_the_end_is_dropped(pair):
    pair[0].send(b"head", bytes(50_000_000))
    pair[0].close()
    frames, ended = pair[1].receive()
    assert (frames, ended) == ([], True)


def test_sending_to_nobody_is_an_error_and_flushing_is_not(pair):
    pair[0].send(b"", bytes(50_000_000))
    pair[1].close()
    assert pair[0].flush()
    with pytest.raises(OSError, match="Broken pipe"):
        pair[0].send(b"")


# ---- files -------------------------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["memfd", "unnamed file"])
def _either_kind(request, monkeypatch):
    if request.param and not memory.HAS_MEMFD:
        pytest.skip("needs memfd_create")
    monkeypatch.setattr(memory, "HAS_MEMFD", request.param)


@pytest.mark.usefixtures("_either_kind")
def test_a_file_holds_its_parts():
    array = np.arange(5000)
    file = make_file([b"head", memoryview(array).cast("B"), b""])
    assert bytes(attach(file)) == b"head" + array.tobytes()


@pytest.mark.usefixtures("_either_kind")
def test_what_is_written_to_attached_memory_stays_here():
    file = make_file([bytes(10_000)])
    first, second = attach(file), attach(file)
    first[0] = 7
    assert (first[0], second[0]) == (7, 0)


@pytest.mark.usefixtures("_either_kind")
def test_what_is_written_to_shared_memory_is_seen_by_all():
    file = make_file([bytes(10_000)])
    first, second = share(file), share(file)
    first[0] = 7
    assert (first[0], second[0]) == (7, 7)


def test_attached_memory_outlives_its_file_and_holds_no_descriptor():
    gc.collect()
    before = psutil.Process().num_fds()
    file = make_file([b"abc" * 10_000])
    attached = attach(file)
    del file
    gc.collect()
    assert psutil.Process().num_fds() <= before
    assert bytes(attached[:6]) == b"abcabc"


def test_memory_is_given_back_with_the_last_value_that_uses_it():
    def mapped() -> int:
        return sum(
            m.size for m in psutil.Process().memory_maps(grouped=False) if "edspipe" in m.path
        )

    file = make_file([bytes(3_000_000)])
    array = np.frombuffer(attach(file)[10:], np.uint8)
    assert mapped() >= 3_000_000
    del array
    gc.collect()
    assert mapped() == 0


def test_a_file_that_cannot_be_mapped_is_an_error(monkeypatch):
    file = make_file([bytes(mmap.PAGESIZE)])
    other = os.open("/dev/null", os.O_WRONLY)
    monkeypatch.setattr(file, "fd", other)
    with pytest.raises(OSError, match="cannot be mapped"):
        attach(file)
    os.close(other)


# ---- parcels -----------------------------------------------------------------------------------


def arrive(values: list, shared: Shared | None = None) -> Parcel:
    shared = shared or Shared()
    packing = Packing(shared)
    for value in values:
        packing.add(value)
    body = packing.body()
    view = memoryview(bytearray(body)) if isinstance(body, bytes) else attach(body)
    return Parcel(packing.table, view, shared)


@pytest.mark.parametrize("size", [10, 3000, 40_000, 300_000])
def test_values_arrive_each_on_its_own(size):
    values = [{"i": i, "a": np.arange(size) + i, "b": np.arange(5), "c": "text"} for i in range(4)]
    parcel = arrive(values)
    assert len(parcel) == 4
    for i in (2, 0, 3, 1):
        found = parcel.open(i)
        assert (found["i"], found["c"]) == (i, "text")
        assert np.array_equal(found["a"], values[i]["a"])
        assert found["a"].flags.writeable
        assert found["a"].flags.aligned


def test_large_parcels_are_files_and_small_ones_are_not():
    for size, is_file in ((MIN_FILE_BYTES // 2, False), (MIN_FILE_BYTES, True)):
        packing = Packing(Shared())
        packing.add(bytes(size))
        assert isinstance(packing.body(), memory.File) == (is_file and memory.HAS_MEMFD)


def test_a_value_that_cannot_be_packed_leaves_no_trace_in_the_parcel():
    packing = Packing(Shared())
    packing.add("first")
    with pytest.raises(WrongValue, match="it holds a generator"):
        packing.add(["x" * 100_000, np.arange(10_000), (x for x in "a")])
    packing.add("second")
    parcel = Parcel(packing.table, memoryview(packing.body()), Shared())
    assert [parcel.open(i) for i in range(len(parcel))] == ["first", "second"]
