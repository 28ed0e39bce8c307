"""What needs the GPU of a Mac; the results are to be those of the CPU."""

from __future__ import annotations

import pytest
import torch
from test_cuda import output

import audiate
from audiate.errors import InputError
from audiate.models.hub import shipped_models
from audiate.utils import devices
from audiate.utils.devices import MPS_FALLBACK, resolve_device


@pytest.mark.skipif(not torch.backends.mps.is_available(), reason="there is no GPU of a Mac here")
@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_give_what_they_give_on_the_cpu(name: str) -> None:
    on_cpu, on_mps = (output(audiate.load(name, device=device)) for device in ("cpu", "mps"))
    assert on_mps.device.type == "mps"
    assert (on_mps.cpu() - on_cpu).abs().max() < 1e-3 * on_cpu.abs().max().clamp_min(1)


@pytest.mark.parametrize(
    ("fallback", "expected"), [("1", "runs on the CPU"), ("0", f"set {MPS_FALLBACK}=1")]
)
def test_a_note_names_the_fallback_once(
    fallback: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    devices._report_fallback.cache_clear()
    monkeypatch.setenv(MPS_FALLBACK, fallback)
    assert [resolve_device("mps").type for _ in range(2)] == ["mps", "mps"]
    assert capsys.readouterr().err.count(expected) == 1


def test_without_mps_the_error_names_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match="`device` mps: no GPU of a Mac here; use cpu"):
        resolve_device("mps")
