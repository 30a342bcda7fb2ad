from __future__ import annotations

import socket

import pytest

from local.ports import PortError, free_port, port_from_env, require_free


def test_a_free_port_can_be_used() -> None:
    require_free("PORT", free_port())


def test_a_taken_port_is_reported_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortError) as caught:
            require_free("PORT", port)
    assert f"PORT {port} is taken" in str(caught.value)
    assert f"make up PORT={port + 1}" in str(caught.value)


def test_a_port_just_released_is_free_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            accepted.close()
    require_free("PORT", port)


def test_the_default_is_used_if_the_variable_is_unset_or_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    assert port_from_env("PORT", 8000) == 8000
    monkeypatch.setenv("PORT", "")
    assert port_from_env("PORT", 8000) == 8000


@pytest.mark.parametrize("value", ["web", "0", "65536", "-1", "8000.0", "²"])
def test_a_value_that_is_no_port_is_refused_by_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", value)
    with pytest.raises(PortError, match="PORT is '"):
        port_from_env("PORT", 8000)
