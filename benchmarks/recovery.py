"""How exactly the flow of speech-digits gives latents back, by its solvers and their evaluations.

    AUDIATE_DATA=data python -m benchmarks.recovery

Prints the relative error of the latents of the flow's own samples, followed forwards and backwards
by as many evaluations of the velocity each: from the codec's latents of the sample, and from its
waveform, whose latents the encoder of the codec only estimates. Then the norm of the noise of
recordings of speakers that it never heard, over that of the prior.
"""

from __future__ import annotations

from functools import partial

import torch

from audiate.audio.files import to_peak
from audiate.data.sources import data_root
from audiate.evaluation.clips import read_validation
from audiate.models.conditional_flow import follow
from audiate.models.configs import Solver
from audiate.models.speech_flow import SpeechFlow

MODEL = "speech-digits"
COUNT = 64
SOLVERS: dict[Solver, int] = {"midpoint": 2, "rk4": 4}
"""Evaluations of a step of each solver."""


@torch.inference_mode()
def main() -> None:
    """Print the errors and the norm."""
    flow = SpeechFlow.from_pretrained(MODEL)
    null = flow.null_condition
    through = partial(
        follow, flow.velocity, condition=null.expand(COUNT, -1), null_condition=null, guidance=1.0
    )
    noise = flow.prior(COUNT, torch.Generator().manual_seed(0))[:, flow.classes :]
    print(f"relative error of z of {COUNT} samples of {MODEL}, followed forwards and backwards")
    for evaluations in (20, 40, 100):
        errors = []
        for solver, each in SOLVERS.items():
            steps = evaluations // each
            sample = through(noise, steps=steps, solver=solver)
            back = through(sample, steps=steps, solver=solver, backwards=True)
            errors.append(f"{solver} {(back - noise).norm() / noise.norm():.2g}")
        print(f"{evaluations} evaluations: {', '.join(errors)}")
    sounds = flow.codec.decode(flow.scale.unflatten(through(noise, steps=25, solver="rk4")))
    heard = flow.scale.flatten(flow.codec.encode(sounds).mu)
    back = through(heard, steps=25, solver="rk4", backwards=True)
    print(f"from waveforms, 100 evaluations: {(back - noise).norm() / noise.norm():.2g}")
    again = through(back, steps=25, solver="rk4")
    print(
        f"their latents of the codec, after and before: {(again - heard).norm() / heard.norm():.2g}"
    )
    size = flow.sample_rate, flow.num_samples
    clips, *_ = read_validation(data_root(None), *size, "reports")
    latents = flow.codec.encode(to_peak(clips[:COUNT, None])).mu
    found = through(flow.scale.flatten(latents), steps=50, solver="rk4", backwards=True)
    norm = found.norm(dim=1).mean() / found.shape[1] ** 0.5
    print(f"norm of the noise of {COUNT} recordings, over that of the prior: {norm:.3f}")


if __name__ == "__main__":
    main()
