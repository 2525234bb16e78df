"""Which cluster a process joins, and how it ends; Ray is stood in for. `test_cluster` has Ray."""

import os
import signal
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from model.features import joining
from model.features.joining import joined


class Ray(SimpleNamespace):
    """What `joined` uses of Ray."""

    def __init__(self) -> None:
        self.joined: list[str] = []
        self.ended = 0

    def init(self, address: str, **_: object) -> None:
        self.joined.append(address)

    def shutdown(self) -> None:
        self.ended += 1


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ray:
    """In the place of Ray, on a machine where no cluster runs."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "ray", stand_in := Ray())
    return stand_in


def note(folder: Path, address: str) -> None:
    """Write what `ray start` leaves on a machine."""
    (folder / "ray").mkdir()
    (folder / "ray" / "ray_current_cluster").write_text(address)


@pytest.mark.parametrize("variable", ["", "auto"])
def test_auto_joins_the_cluster_of_this_machine(
    variable: str, ray: Ray, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("RAY_ADDRESS", variable)
    monkeypatch.setattr(joining, "is_ray", lambda address: address == "first:6379")
    note(tmp_path, "first:6379\n")
    with joined("auto"):
        pass
    assert (ray.joined, ray.ended) == (["first:6379"], 1)


def test_auto_starts_a_cluster_where_the_noted_one_has_ended(ray: Ray, tmp_path: Path):
    note(tmp_path, "127.0.0.1:1")
    with joined("auto"):
        pass
    assert ray.joined == ["local"]


def test_ray_address_local_starts_a_cluster(ray: Ray, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setattr(joining, "is_ray", lambda _: True)
    note(tmp_path, "first:6379")
    with joined("auto"):
        pass
    assert ray.joined == ["local"]


@pytest.mark.parametrize(
    ("variable", "error", "said"),
    [
        ("ray://first:10001", ValueError, "RAY_ADDRESS ray://first:10001 is neither auto nor"),
        ("127.0.0.1:{}", ConnectionError, "RAY_ADDRESS 127.0.0.1:.*: no Ray cluster answers there"),
    ],
)
def test_an_address_in_the_environment_is_named_where_it_is_no_use(
    variable: str, error: type[Exception], said: str, ray: Ray, monkeypatch
):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", variable.format(nobody.getsockname()[1]))
        with pytest.raises(error, match=said), joined("auto"):
            pytest.fail("It was joined.")
    assert ray.joined == []


def test_sigterm_while_ray_starts_ends_the_command_as_ctrl_c_does(ray: Ray, monkeypatch):
    def init(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))  # as Ray's own
        os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(KeyboardInterrupt), joined("auto"):
        pytest.fail("It was joined.")
    assert signal.getsignal(signal.SIGTERM) == handler
    assert ray.ended == 1
