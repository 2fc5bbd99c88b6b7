"""What is to be fetched is here, can be had, or cannot."""

import pytest
from fakehub import FakeHub

from tdro.readers.fetch import FetchJob
from tdro.setup import online

MODEL = FetchJob(kind="model", name="org/model")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that has one model."""
    import huggingface_hub.constants as constants

    fake = FakeHub()
    fake.repositories["model", "org/model"] = {"config.json": b"{}"}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", fake.url)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", fake.url)
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    yield fake
    fake.stop()


def said(*jobs):
    """State and words of each finding."""
    return [(found.state, f"{found.said} | {found.mend}") for found in online.fetched(jobs)]


def test_a_model_that_the_hub_has_may_be_downloaded(hub):
    assert said(MODEL, MODEL) == [("ok", "is on the hub, and may be downloaded | ")]
    assert [found.state for found in online.hub()] == ["ok"]


def test_one_that_it_does_not_have_or_that_is_gated_fails(hub, monkeypatch):
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    def refuse(kind):
        def asked(self, name, **how):
            raise kind.__new__(kind)

        monkeypatch.setattr(HfApi, "auth_check", asked)
        ((state, words),) = said(MODEL)
        assert state == "fail"
        return words

    assert "is not on the hub, or private | correct its name" in refuse(RepositoryNotFoundError)
    assert "is gated | accept its licence at https://huggingface.co/org/model, then `hf auth login`" in refuse(
        GatedRepoError
    )


def test_a_hub_that_does_not_answer_fails_only_what_is_not_here(hub, tmp_path):
    hub.stop()
    ((state, words),) = said(MODEL)
    assert state == "fail" and "is not here, and the hub does not answer (" in words and "fetch_all" in words
    assert [found.state for found in online.hub()] == ["warn"]
    snapshot = tmp_path / "hub/models--org--model/snapshots/abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "hub/models--org--model/refs").mkdir()
    (tmp_path / "hub/models--org--model/refs/main").write_text("abc")
    assert said(MODEL) == [("ok", "is in the hub's cache | ")]


def test_offline_is_said_as_such(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids to ask the hub" in said(MODEL)[0][1]


def test_packages_in_the_cache_and_others(hub, tmp_path):
    (tmp_path / "cache/packages").mkdir(parents=True)
    (tmp_path / "cache/packages/some_data-1.0.tar.gz").touch()
    jobs = [FetchJob(kind="package", name=name) for name in ("some-data==1.0", "other==2.0")]
    assert [words for _, words in said(*jobs)] == [
        "is in the cache | ",
        "will be downloaded by pip when the run starts | ",
    ]
