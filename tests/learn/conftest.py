import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Exactness is a promise for the CPU; workers start with the same settings."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
