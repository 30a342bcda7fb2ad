from __future__ import annotations

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tasks.store.counters import Counters
from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS


def test_the_page_is_served_and_takes_nothing_from_elsewhere(http: httpx2.Client) -> None:
    page = http.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert http.get("/static/page.js").status_code == http.get("/static/page.css").status_code == 200
    worker = http.get("/static/table/worker.js").headers["content-security-policy"]
    assert worker.startswith("default-src 'none'; script-src 'self'; connect-src 'self'")


def test_probes(http: httpx2.Client) -> None:
    assert http.get("/livez").json() == {"status": "alive"}
    assert http.get("/readyz").json() == {"status": "ready"}


def test_info_tells_the_model_and_the_limits(http: httpx2.Client) -> None:
    info = http.get("/v1/info").json()
    assert info["model"]["engine"] == "openvino"
    assert info["model"]["id"]
    assert info["model"]["labels"] == ["negative", "positive"]
    assert info["model"]["max_tokens"] == 256
    assert 0.5 < info["model"]["uncertain_below"] < 1
    assert info["limits"]["max_text_chars"] == 10_000


def test_info_tells_the_options_their_defaults_and_bounds(http: httpx2.Client) -> None:
    info = http.get("/v1/info").json()
    assert info["options"] == {
        "on_long_text": {"values": ["truncate", "window", "reject"], "default": "truncate"},
        "sentences": {"values": [False, True], "default": False},
        "explain": {"values": [False, True], "default": False},
        "probabilities": {"values": ["all", "top3", "none"], "default": None},
    }
    assert (info["limits"]["max_sentences"], info["limits"]["max_clauses"]) == (128, 32)


def test_unknown_paths_and_methods_are_problems_too(http: httpx2.Client) -> None:
    missing, wrong = http.get("/nope"), http.delete("/v1/jobs")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"]


def test_metrics_tell_what_waits_and_who_works(http: httpx2.Client) -> None:
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    told = {
        (sample.name, sample.labels.get("class")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert told["sentiq_workers", None] == 1
    assert told["sentiq_children", None] >= 1
    assert told["sentiq_pending_items", "interactive"] >= 0
    assert told["sentiq_accepting", "bulk"] == 1
    assert {"sentiq_republished_total", "sentiq_lost_total"} <= {name for name, _ in told}


def test_metrics_count_what_was_sent_again(store: JobStore) -> None:
    assert Counters.read(store).counts == {}
    store.redis.hincrby(COUNTERS, "republished", 3)
    assert Counters.read(store).counts == {"republished": 3}
