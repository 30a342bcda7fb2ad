"""The table of peers: each has a lock file, servers that are there, and a name of its own."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from bench.peers.catalogue import PEERS, Peer
from bench.peers.dialects import read_verdicts
from local.processes import ROOT

_SERVERS = ROOT / "bench" / "peers" / "servers"


def test_no_two_peers_have_the_same_name_and_manner() -> None:
    assert {key: count for key, count in Counter(peer.key for peer in PEERS).items() if count > 1} == {}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.key)
def test_a_peer_has_its_locked_packages_and_servers(peer: Peer) -> None:
    lock = (ROOT / "requirements" / "peers" / f"{peer.environment}.lock").read_text("utf-8")
    assert [name for name in peer.packages if name != "torch" and f"\n{name}==" not in lock] == []
    words = " ".join(word for command in (*peer.commands, peer.prepare) for word in command)
    named = {word.split(":")[0] for word in words.split() if word.startswith("bench.peers.servers.")}
    assert {name for name in named if not (_SERVERS / f"{name.rpartition('.')[2]}.py").is_file()} == set()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.key)
def test_a_request_holds_its_texts_and_no_more_than_the_server_takes(peer: Peer) -> None:
    assert "很好".encode() in peer.dialect.ask(["很好"])
    assert peer.dialect.texts == 1
    assert all(text.encode() in peer.bulk.ask(["很好", "不好"][: peer.bulk.texts]) for text in ["很好"])


@pytest.mark.parametrize(
    "body", [{"error": "full"}, {"label": "a", "score": 2}, {"label": 1, "score": 0.5}, []]
)
def test_an_answer_without_a_verdict_is_no_answer(body: object) -> None:
    with pytest.raises(ValueError, match="no "):
        read_verdicts(PEERS[0].dialect, json.dumps(body).encode())
