"""`datasets` as it is without `personagen_dataset`."""

import datasets
import pytest


@pytest.fixture
def plain_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what an import of `personagen_dataset` in this process has done to `load_dataset`."""
    current = datasets.load.dataset_module_factory
    original = getattr(current, "__wrapped__", current)
    monkeypatch.setattr(datasets.load, "dataset_module_factory", original)
    monkeypatch.setattr(datasets.inspect, "dataset_module_factory", original)
