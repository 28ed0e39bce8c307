"""The loop, with a small task of two optimisers, batch norm and noise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

import audiate
from audiate.errors import InputError, Interrupted
from audiate.models import LeNet
from audiate.training.batches import EpochOrder
from audiate.training.launch import LoopOptions
from audiate.training.loop import fit
from audiate.training.run import Run
from audiate.training.schedules import linear_warmup, one_cycle
from audiate.training.task import Phase, Shard, Task, objective


@dataclass(frozen=True)
class ToyRecipe:
    steps: int = 60
    learning_rate: float = 0.01
    seed: int = 0
    noise: float = 1.0
    adam: bool = True


class ToyTask(Task):
    """Two critic updates and one generator update a step, as a GAN has them."""

    def __init__(self, recipe: ToyRecipe, device: torch.device, shard: Shard) -> None:
        torch.manual_seed(recipe.seed)
        judge = LeNet().to(device)  # stands for the model that the run is for
        judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
        generator = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Linear(16, 28 * 28))
        self.recipe = recipe
        self.data = torch.rand(64, 28, 28)
        self.order = EpochOrder(64, 16, recipe.seed)
        self.at_step: dict[int, object] = {}
        self.collapsed = False
        super().__init__(
            seed=recipe.seed,
            steps=recipe.steps,
            steps_per_epoch=20,
            model=judge,
            modules={"critic": judge, "generator": generator},
            optimizers={
                name: torch.optim.Adam(module.parameters(), fused=True)
                if recipe.adam
                else torch.optim.SGD(module.parameters())
                for name, module in (("critic", judge), ("generator", generator))
            },
            shard=shard,
        )

    def phases(self, step: int) -> Sequence[Phase]:
        action = self.at_step.get(step)
        if callable(action):
            action()
        rate = self.recipe.learning_rate
        critic = Phase("critic", lambda: self.critic(step), {"real": 1.0, "fake": 1.0}, rate)
        return [critic, critic, Phase("generator", self.generator, {"fool": 1.0}, rate)]

    def images(self) -> Tensor:
        noise = self.recipe.noise * torch.randn(16 // self.shard.world_size, 4)
        images: Tensor = self.modules["generator"](noise)
        return images.view(-1, 28, 28)

    def critic(self, step: int) -> Mapping[str, Tensor]:
        real = self.data[self.shard.take(self.order.batch(step))]
        generator_parameters = list(self.modules["generator"].parameters())
        assert not any(p.requires_grad for p in generator_parameters)
        return {
            "real": F.softplus(-self.modules["critic"](real)).mean(),
            "fake": F.softplus(self.modules["critic"](self.images())).mean(),
        }

    def generator(self) -> Mapping[str, Tensor]:
        assert not any(p.requires_grad for p in self.modules["critic"].parameters())
        fool = F.softplus(-self.modules["critic"](self.images())).mean()
        return {"fool": fool, "only_logged": fool.detach() * 0 + 7}

    def preview(self) -> Tensor:
        return self.data[0]

    def diagnose(self, means: Mapping[str, float]) -> str | None:
        assert means["only_logged"] == 7
        return "it has collapsed; do this" if self.collapsed else None


def train(
    folder: Path,
    recipe: ToyRecipe | None = None,
    *,
    resume: bool = False,
    at_step: dict[int, object] | None = None,
    save_every: float = 60.0,
    collapsed: bool = False,
    quiet: bool = True,
) -> ToyTask:
    recipe = recipe or ToyRecipe()
    made: list[ToyTask] = []

    def make_task(device: torch.device, shard: Shard) -> ToyTask:
        task = ToyTask(recipe, device, shard)
        task.at_step = at_step or {}
        task.collapsed = collapsed
        made.append(task)
        return task

    options = LoopOptions(folder, resume, "cpu", "float32", save_every)
    fit("toy", recipe, make_task, options, bf16_pays=False, quiet=quiet)
    return made[0]


def state(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "checkpoint.safetensors")


def assert_equal_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class TestResuming:
    @pytest.fixture(scope="class")
    @classmethod
    def whole(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("whole")
        train(folder)
        return folder

    @pytest.mark.parametrize("step", [0, 19, 33])
    def test_interrupted_and_resumed_is_the_same_bit_for_bit(
        self, tmp_path: Path, whole: Path, step: int
    ) -> None:
        with pytest.raises(Interrupted, match=f"after step {step + 1} of 60"):
            train(tmp_path, at_step={step: interrupt})
        train(tmp_path, resume=True)
        assert_equal_bits(state(tmp_path), state(whole))

    def test_killed_between_checkpoints_and_resumed_is_the_same(
        self, tmp_path: Path, whole: Path
    ) -> None:
        def die() -> None:
            raise MemoryError  # stands for anything that ends the process without a goodbye

        with pytest.raises(Interrupted):
            train(tmp_path, at_step={24: interrupt})
        with pytest.raises(MemoryError):
            train(tmp_path, resume=True, at_step={47: die})
        train(tmp_path, resume=True)
        assert_equal_bits(state(tmp_path), state(whole))

    def test_the_log_has_each_step_once(self, tmp_path: Path, whole: Path) -> None:
        with pytest.raises(Interrupted):
            train(tmp_path, at_step={45: interrupt})
        with (tmp_path / "log.jsonl").open("a") as log:
            log.write('{"step": 59, "fool": 1}\n{"step": 6')  # as if killed further on
        train(tmp_path, resume=True)
        steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").open()]
        assert steps == [20, 40, 46, 60]
        assert [json.loads(line)["step"] for line in (whole / "log.jsonl").open()] == [20, 40, 60]

    def test_a_finished_run_is_left_as_it_is(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        before = state(tmp_path)
        train(tmp_path, ToyRecipe(steps=20), resume=True)
        assert_equal_bits(state(tmp_path), before)

    def test_a_run_is_not_overwritten(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        with pytest.raises(InputError, match="holds a run already; add --resume"):
            train(tmp_path, ToyRecipe(steps=20))

    def test_other_settings_cannot_be_resumed(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        with pytest.raises(InputError, match=r"other settings \(learning_rate was 0.01\)"):
            train(tmp_path, ToyRecipe(steps=20, learning_rate=0.1), resume=True)

    def test_a_run_of_another_recipe_cannot_be_resumed(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        settings = tmp_path / "settings.json"
        stored = json.loads(settings.read_text())
        settings.write_text(json.dumps({**stored, "recipe": "lenet"}))
        with pytest.raises(InputError, match="holds a run of the recipe lenet, not toy"):
            train(tmp_path, ToyRecipe(steps=20), resume=True)

    def test_another_precision_cannot_be_resumed(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        options = LoopOptions(tmp_path, True, "cpu", "bf16")
        with pytest.raises(InputError, match=r"--precision bf16: the run in .* began with float32"):
            fit("toy", ToyRecipe(steps=20), ToyTask, options, bf16_pays=True)  # type: ignore[arg-type]

    def test_another_number_of_threads_is_said(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(Interrupted):
            train(tmp_path, ToyRecipe(steps=20), at_step={3: interrupt})
        path = tmp_path / "settings.json"
        settings = json.loads(path.read_text())
        settings["environment"]["threads"] = "99"
        path.write_text(json.dumps(settings))
        train(tmp_path, ToyRecipe(steps=20), resume=True, quiet=False)
        assert "begun with 99: the last bits" in capsys.readouterr().err

    @pytest.mark.parametrize("content", [b"", b"text", None])
    def test_a_damaged_checkpoint_is_named(self, tmp_path: Path, content: bytes | None) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        path = tmp_path / "checkpoint.safetensors"
        path.write_bytes(path.read_bytes()[:-500] if content is None else content)
        with pytest.raises(InputError, match=r"checkpoint.safetensors: damaged"):
            train(tmp_path, ToyRecipe(steps=20), resume=True)


class TestWhatIsWritten:
    def test_a_run_has_all_its_parts(self, tmp_path: Path) -> None:
        train(tmp_path)
        settings = json.loads((tmp_path / "settings.json").read_text())
        assert settings["recipe"] == "toy"
        assert settings["settings"] == {
            "steps": 60, "learning_rate": 0.01, "seed": 0, "noise": 1.0, "adam": True,
        }  # fmt: skip
        assert settings["environment"]["torch"] == torch.__version__
        assert sorted(p.name for p in (tmp_path / "previews").iterdir()) == [
            "0000020.png", "0000040.png", "0000060.png",
        ]  # fmt: skip
        assert list((tmp_path / "tensorboard").iterdir())
        model = audiate.load(tmp_path)
        assert model.provenance.recipe == "toy"
        weight = model.state_dict()["classifier.0.weight"]
        assert torch.equal(weight, state(tmp_path)["module/critic/classifier.0.weight"])

    def test_checkpoints_come_as_often_as_asked(self, tmp_path: Path) -> None:
        seen: list[int] = []

        def look() -> None:
            seen.append((tmp_path / "checkpoint.safetensors").stat().st_mtime_ns)

        train(tmp_path, ToyRecipe(steps=20), save_every=0.0, at_step={5: look, 6: look, 7: look})
        assert len(set(seen)) == 3

    def test_an_alarm_is_in_the_log(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20), collapsed=True)
        alarms = [json.loads(line).get("alarm") for line in (tmp_path / "log.jsonl").open()]
        assert alarms == [None, "it has collapsed; do this"]

    def test_divergence_stops_before_the_good_checkpoint_is_lost(self, tmp_path: Path) -> None:
        with pytest.raises(Interrupted):
            train(tmp_path, at_step={25: interrupt})
        good = state(tmp_path)

        def poison() -> None:
            current[0].data.fill_(torch.nan)

        current: list[ToyTask] = []
        recipe = ToyRecipe()

        def make_task(device: torch.device, shard: Shard) -> ToyTask:
            task = ToyTask(recipe, device, shard)
            task.at_step = {30: poison}
            current.append(task)
            return task

        options = LoopOptions(tmp_path, True, "cpu", "float32", 0.0)
        with pytest.raises(
            InputError, match=r"diverged, (real|fake) is nan .* there is sound; lower --learning"
        ):
            fit("toy", recipe, make_task, options, bf16_pays=False, quiet=True)
        saved = state(tmp_path)
        assert all(tensor.isfinite().all() for tensor in saved.values())
        assert saved.keys() == good.keys()

    def test_weights_that_are_not_finite_are_not_kept(self, tmp_path: Path) -> None:
        recipe = ToyRecipe(steps=20)
        task = ToyTask(recipe, torch.device("cpu"), Shard())
        run = Run(tmp_path)
        run.save(task, 1)
        with torch.no_grad():
            next(task.modules["generator"].parameters())[0, 0] = torch.nan
        with pytest.raises(InputError, match="is not finite after step 2"):
            run.save(task, 2)
        assert all(tensor.isfinite().all() for tensor in state(tmp_path).values())

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="cannot write the run there"):
            train(tmp_path / "file" / "run")


class TestObjective:
    def test_it_is_the_weighted_sum(self) -> None:
        losses = {"a": torch.tensor(2.0), "b": torch.tensor(3.0), "logged": torch.tensor(9.0)}
        assert objective(losses, {"a": 10.0, "b": 1.0}).item() == 23

    def test_a_weight_for_no_loss_is_an_error(self) -> None:
        with pytest.raises(ValueError, match=r"unknown losses \['c'\]; this phase has \['a'\]"):
            objective({"a": torch.tensor(1.0)}, {"a": 1.0, "c": 1.0})


class TestSchedules:
    def test_one_cycle_rises_and_falls(self) -> None:
        rates = [one_cycle(step, 100, 2.0) for step in range(101)]
        assert rates[0] == pytest.approx(2 / 25)
        assert rates[20] == pytest.approx(2.0) == max(rates)
        assert rates[100] == pytest.approx(0)
        assert rates[:21] == sorted(rates[:21])
        assert rates[20:] == sorted(rates[20:], reverse=True)

    def test_linear_warmup(self) -> None:
        assert [linear_warmup(s, 4, 0.5) for s in range(6)] == [0, 0.125, 0.25, 0.375, 0.5, 0.5]
        assert linear_warmup(0, 0, 0.5) == 0.5


class TestBatches:
    def test_an_epoch_has_each_item_once(self) -> None:
        order = EpochOrder(64, 16, seed=0)
        epochs = [torch.cat([order.batch(4 * e + i) for i in range(4)]) for e in range(2)]
        for epoch in epochs:
            assert sorted(epoch.tolist()) == list(range(64))
        assert not torch.equal(*epochs)

    def test_a_batch_depends_on_nothing_but_seed_and_step(self) -> None:
        forward, other = EpochOrder(64, 16, seed=0), EpochOrder(64, 16, seed=1)
        batches = [forward.batch(step) for step in range(12)]
        backward = EpochOrder(64, 16, seed=0)
        assert all(torch.equal(backward.batch(s), batches[s]) for s in reversed(range(12)))
        assert not torch.equal(other.batch(0), batches[0])


_TWO = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from training.test_loop import ToyRecipe, train
train(Path({folder!r}), ToyRecipe(steps=20, noise=0.0, adam=False, learning_rate=0.1))
"""


def test_two_processes_do_the_work_of_one(tmp_path: Path) -> None:
    """Without noise, shares of a batch make the same gradient as the whole, up to rounding."""
    tests = str(Path(__file__).parent.parent)
    script = tmp_path / "two.py"
    script.write_text(_TWO.format(tests=tests, folder=str(tmp_path / "two")))
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", script),
        ],
        check=True,
        timeout=120,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    train(tmp_path / "one", ToyRecipe(steps=20, noise=0.0, adam=False, learning_rate=0.1))
    one, two = state(tmp_path / "one"), state(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=1e-5, rtol=1e-4, msg=name)
    settings = json.loads((tmp_path / "two" / "settings.json").read_text())
    assert settings["environment"]["processes"] == "2"
