"""The loop, with a small task of two optimisers, batch norm and noise."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

import audiate
from audiate.data.sounds import SoundSet
from audiate.errors import InputError, Interrupted
from audiate.models.configs import WaveGANSizes
from audiate.models.lenet import LeNet
from audiate.training.batches import EpochOrder, linear_warmup, one_cycle
from audiate.training.loop import fit, run_recipe
from audiate.training.options import RunOptions
from audiate.training.recipes.base import Recipe
from audiate.training.recipes.classifiers import LeNetRecipe
from audiate.training.recipes.gans import WaveGANRecipe
from audiate.training.run import Run
from audiate.training.task import Prepared, Shard, Stage, Task, weighted_sum
from audiate.training.tasks.gan_task import AudioGANTask
from audiate.utils.devices import use_threads
from audiate.utils.progress import Pace


@dataclass(frozen=True)
class ToyRecipe(Recipe):
    steps: int = 60
    learning_rate: float = 0.01
    seed: int = 0
    noise: float = 1.0
    adam: bool = True
    steps_per_epoch: int = 20

    def prepared(self) -> Prepared:
        return Prepared("", lambda device, shard: ToyTask(self, device, shard))


class ToyTask(Task):
    """Two critic updates and one generator update a step, as a GAN has them."""

    def __init__(self, recipe: ToyRecipe, device: torch.device, shard: Shard) -> None:
        torch.manual_seed(recipe.seed)
        classifier = LeNet().to(device)  # stands for the model that the run is for
        classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
        generator = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Linear(16, 28 * 28))
        self.recipe = recipe
        self.data = torch.rand(64, 28, 28)
        self.order = EpochOrder(64, 16, recipe.seed)
        self.at_step: dict[int, object] = {}
        self.collapsed = False
        self.means: dict[str, float] = {}
        super().__init__(
            seed=recipe.seed,
            steps=recipe.steps,
            steps_per_epoch=recipe.steps_per_epoch,
            batch_size=16,
            model=classifier,
            modules={"critic": classifier, "generator": generator},
            optimizers={
                name: torch.optim.Adam(module.parameters(), fused=True)
                if recipe.adam
                else torch.optim.SGD(module.parameters())
                for name, module in (("critic", classifier), ("generator", generator))
            },
            shard=shard,
        )

    def stages(self, step: int) -> Sequence[Stage]:
        action = self.at_step.get(step)
        if callable(action):
            action()
        rate = self.recipe.learning_rate
        critic = Stage("critic", lambda: self.critic(step), {"real": 1.0, "fake": 1.0}, rate)
        return [critic, critic, Stage("generator", self.generator, {"fool": 1.0}, rate)]

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
        self.means = dict(means)
        return "it has collapsed; lower `learning_rate`" if self.collapsed else None


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

    options = RunOptions(folder, resume, "cpu", "float32", save_every)
    fit("toy", recipe, Prepared("", make_task), options, quiet=quiet)
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

    def test_a_run_that_was_never_begun_is_not_resumed(self, tmp_path: Path) -> None:
        options = RunOptions(tmp_path / "none", resume=True, device="cpu")
        with pytest.raises(InputError, match="there is no run in"):
            run_recipe("lenet", LeNetRecipe(), tmp_path, options)
        assert not (tmp_path / "none").exists()

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
        with pytest.raises(InputError, match="holds a run already; add `resume`"):
            train(tmp_path, ToyRecipe(steps=20))

    def test_two_trainings_do_not_share_a_folder(self, tmp_path: Path) -> None:
        checkpoint = tmp_path / "checkpoint.safetensors"
        (left := tmp_path / f".{checkpoint.name}.123.part").touch()  # of one that was killed
        with (
            Run(tmp_path).alone(),
            pytest.raises(InputError, match="another training is writing there; wait for its end"),
        ):
            train(tmp_path, ToyRecipe(steps=1))
        assert left.exists()
        train(tmp_path, ToyRecipe(steps=1))
        assert checkpoint.exists()
        assert not left.exists()

    def test_other_settings_cannot_be_resumed(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        with pytest.raises(InputError, match=r"to go on with it, give `learning_rate` 0.01, or"):
            train(tmp_path, ToyRecipe(steps=20, learning_rate=0.1), resume=True)

    def test_a_run_may_be_given_more_steps_but_not_fewer(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        train(tmp_path, ToyRecipe(steps=40), resume=True)
        steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").open()]
        assert steps == [20, 40]
        stored = json.loads((tmp_path / "settings.json").read_text())
        assert stored["settings"]["steps"] == 40
        with pytest.raises(InputError, match=r"to go on with it, give `steps` 40, or"):
            train(tmp_path, ToyRecipe(steps=20), resume=True)

    def test_a_run_of_another_recipe_cannot_be_resumed(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        settings = tmp_path / "settings.json"
        stored = json.loads(settings.read_text())
        settings.write_text(json.dumps({**stored, "recipe": "lenet"}))
        with pytest.raises(InputError, match="holds a run of the recipe lenet, not toy"):
            train(tmp_path, ToyRecipe(steps=20), resume=True)

    def test_another_precision_cannot_be_resumed(self, tmp_path: Path) -> None:
        train(tmp_path, ToyRecipe(steps=20))
        options = RunOptions(tmp_path, True, "cpu", "bf16")
        recipe = ToyRecipe(steps=20)
        with pytest.raises(InputError, match="`precision` bf16: the run began with float32"):
            fit("toy", recipe, recipe.prepared(), options)

    def test_the_precision_is_kept_and_shown(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        recipe = ToyRecipe(steps=20)

        def run(folder: str, at_step: dict[int, object] | None = None, **options: Any) -> str:
            def make_task(device: torch.device, shard: Shard) -> ToyTask:
                task = ToyTask(recipe, device, shard)
                task.at_step = at_step or {}
                return task

            where = RunOptions(tmp_path / folder, device="cpu", **options)
            fit("toy", recipe, Prepared("", make_task), where)
            return capsys.readouterr().err

        assert "computing in float32: --precision bf16 takes less" in run("default")
        with pytest.raises(Interrupted):
            run("asked", {3: interrupt}, precision="bf16")
        assert "computing in bf16: --precision float32 rounds less" in capsys.readouterr().err
        assert "computing in bf16: as the run began" in run("asked", resume=True)

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
            "steps_per_epoch": 20, "init": None,
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

    def test_tensorboard_reads_what_is_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # With this TensorBoard reads without TensorFlow, which takes seconds to import.
        monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", ModuleType("notf"))
        reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        with pytest.raises(Interrupted):
            train(tmp_path, at_step={45: interrupt})
        train(tmp_path, resume=True)
        events = reading.EventAccumulator(str(tmp_path / "tensorboard"))
        events.Reload()
        log = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
        found = [(each.step, each.value) for each in events.Scalars("real")]
        assert found == [(each["step"], pytest.approx(each["real"])) for each in log]
        assert [each.step for each in events.Images("preview")] == [20, 40, 60]
        assert events.Images("preview")[0].width == 28

    def test_without_tensorboard_there_is_the_log(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
        train(tmp_path, ToyRecipe(steps=20))
        assert (tmp_path / "log.jsonl").exists()
        assert not (tmp_path / "tensorboard").exists()

    def test_checkpoints_come_as_often_as_asked(self, tmp_path: Path) -> None:
        seen: list[int] = []

        def look() -> None:
            seen.append((tmp_path / "checkpoint.safetensors").stat().st_mtime_ns)

        train(tmp_path, ToyRecipe(steps=20), save_every=0.0, at_step={5: look, 6: look, 7: look})
        assert len(set(seen)) == 3

    def test_an_alarm_is_in_the_log_and_told_with_flags(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        train(tmp_path, ToyRecipe(steps=20), collapsed=True, quiet=False)
        assert "it has collapsed; lower --learning-rate" in capsys.readouterr().err
        alarms = [json.loads(line).get("alarm") for line in (tmp_path / "log.jsonl").open()]
        assert alarms == [None, "it has collapsed; lower `learning_rate`"]

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

        options = RunOptions(tmp_path, True, "cpu", "float32", 0.0)
        with pytest.raises(
            InputError, match=r"diverged, (real|fake) is nan .* there is sound; lower `learning_ra"
        ):
            fit("toy", recipe, Prepared("", make_task), options, quiet=True)
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

    @pytest.mark.parametrize("name", ["previews/0000020.png", "settings.json", "model"])
    @pytest.mark.parametrize("resume", [False, True])
    def test_a_users_folder_is_refused_before_the_training(
        self, tmp_path: Path, name: str, resume: bool
    ) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"mine": 1}')
        top = name.split("/", maxsplit=1)[0]
        with pytest.raises(InputError, match=rf"`out` .* holds files \({top}\), but no settings"):
            train(tmp_path, resume=resume)
        assert (tmp_path / name).read_text() == '{"mine": 1}'
        assert [path.name for path in tmp_path.iterdir()] == [top]

    @pytest.mark.parametrize("name", ["previews", "tensorboard", "last-good", "model"])
    def test_a_file_in_the_place_of_a_folder_is_told_at_once(
        self, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(Interrupted):
            train(tmp_path, at_step={3: interrupt})
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        (tmp_path / name).touch()
        with pytest.raises(InputError, match=f"writes a folder {name} there"):
            train(tmp_path, resume=True)

    def test_a_folder_of_hidden_files_is_as_good_as_empty(self, tmp_path: Path) -> None:
        (tmp_path / ".gitignore").touch()
        train(tmp_path, ToyRecipe(steps=20))
        assert (tmp_path / "model").is_dir()

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=r"run: cannot be written .* with `out`"):
            train(tmp_path / "file" / "run")


class TestObjective:
    def test_it_is_the_weighted_sum(self) -> None:
        losses = {"a": torch.tensor(2.0), "b": torch.tensor(3.0), "logged": torch.tensor(9.0)}
        assert weighted_sum(losses, {"a": 10.0, "b": 1.0}).item() == 23

    def test_a_weight_for_no_loss_is_an_error(self) -> None:
        with pytest.raises(ValueError, match=r"unknown losses \['c'\]; this stage has \['a'\]"):
            weighted_sum({"a": torch.tensor(1.0)}, {"a": 1.0, "c": 1.0})


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


class TestEpochs:
    def test_a_resumed_run_knows_the_losses_of_its_epoch(self, tmp_path: Path) -> None:
        def means_of(folder: Path) -> dict[str, float]:
            (last,) = [task.means for task in tasks[folder.name]]
            return last

        tasks: dict[str, list[ToyTask]] = {"whole": [], "parts": []}
        recipe = ToyRecipe(steps=40, steps_per_epoch=40)
        tasks["whole"].append(train(tmp_path / "whole", recipe))
        with pytest.raises(Interrupted):
            train(tmp_path / "parts", recipe, at_step={24: interrupt})
        tasks["parts"].append(train(tmp_path / "parts", recipe, resume=True))
        whole, parts = (means_of(tmp_path / name) for name in tasks)
        assert whole.keys() == parts.keys() == {"real", "fake", "fool", "only_logged"}
        assert parts == pytest.approx(whole, rel=1e-5)
        log = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").open()]
        assert [entry["step"] for entry in log] == [20, 25, 40]
        assert parts["fool"] != pytest.approx(log[-1]["fool"], rel=1e-3)


class TestPace:
    def test_the_first_steps_do_not_count(self) -> None:
        now = 0.0
        pace = Pace(total=103, done=0, clock=lambda: now)
        for step in range(13):
            now += 60.0 if step < 3 else 0.5
            pace.advance(step + 1)
            assert (pace.seconds is None) == (step < 3)
        assert pace.seconds == pytest.approx(0.5)
        assert str(pace) == "500 ms a step, 0.8 min left"

    def test_a_resumed_run_sets_up_again(self) -> None:
        now = 0.0
        pace = Pace(total=100, done=50, clock=lambda: now)
        for done, seconds in ((51, 60.0), (52, 9.0), (53, 9.0), (54, 2.0)):
            assert pace.seconds is None
            now += seconds
            pace.advance(done)
        assert pace.seconds == 2


_TWO = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from conftest import tiny_sources
from audiate.cli import main
from audiate.data.sources import SOURCES
from training.test_loop import toy, wavegans
if __name__ == "__main__":
    toy(Path({folder!r}))
    wavegans(Path({folder!r}))
    SOURCES.update(tiny_sources())
    sys.exit(main("train lenet --epochs 1 --batch-size 20".split() + {command!r}))
"""


def toy(folder: Path) -> None:
    """A batch of 16 without noise."""
    train(folder / "toy", ToyRecipe(steps=20, noise=0.0, adam=False, learning_rate=0.1))


def wavegans(folder: Path) -> None:
    """A few steps of WaveGAN by either loss, with a batch that two processes share unevenly."""
    time = torch.arange(16_384) / 16_000
    labels = torch.arange(20) % 2
    hertz = 500 + 2500 * labels + 10 * torch.arange(20)
    clips = 20_000 * torch.sin(2 * torch.pi * hertz.unsqueeze(1) * time)
    samples = clips.to(torch.int16).unsqueeze(1)
    sounds = SoundSet(samples, labels, torch.zeros_like(labels), ("low", "high"), 16_000)
    losses: tuple[Literal["r1", "wgan-gp"], ...] = ("r1", "wgan-gp")
    for loss in losses:
        recipe = WaveGANRecipe(
            steps=4,
            batch_size=5,
            critic_updates=2,
            penalty_every=2,
            preview_every=4,
            loss=loss,
            network=WaveGANSizes(dim=1),
        )
        prepared = Prepared("", lambda *where, recipe=recipe: AudioGANTask(recipe, sounds, *where))
        options = RunOptions(folder / loss, device="cpu", precision="float32")
        fit("wavegan", recipe, prepared, options, quiet=True)


class TestTwoProcesses:
    """Under torchrun, against a single one."""

    def test_without_torchrun_it_says_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.delenv("MASTER_ADDR", raising=False)
        with pytest.raises(InputError, match=r"WORLD_SIZE is 2, .* start them with torchrun"):
            train(tmp_path)

    @pytest.fixture(scope="class")
    @classmethod
    def two(cls, tmp_path_factory: pytest.TempPathFactory, tiny_root: Path) -> Path:
        """The runs of two processes: `toy`, `wavegans` and, by the command, a classifier."""
        folder = tmp_path_factory.mktemp("two")
        script = folder / "two.py"
        tests, command = Path(__file__).parent.parent, ["--data-dir", str(tiny_root)]
        command += ["--out", str(folder / "lenet")]
        script.write_text(_TWO.format(tests=str(tests), folder=str(folder), command=command))
        subprocess.run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                *("--nproc-per-node", "2", script),
            ],
            check=True,
            timeout=240,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return folder

    def test_the_command_trains_and_says_by_how_many(self, two: Path) -> None:
        model = audiate.load(two / "lenet")
        assert model.provenance.environment["processes"] == "2"
        assert all(p.isfinite().all() for p in model.parameters())

    def test_they_do_the_work_of_one(self, two: Path, tmp_path: Path) -> None:
        """Without noise, parts of a batch make the same gradient as the whole, up to rounding."""
        toy(tmp_path)
        one, both = state(tmp_path / "toy"), state(two / "toy")
        assert one.keys() == both.keys()
        for name in one:
            torch.testing.assert_close(both[name], one[name], atol=1e-5, rtol=1e-4, msg=name)
        settings = json.loads((two / "toy" / "settings.json").read_text())
        assert settings["environment"]["processes"] == "2"

    def test_uneven_parts_of_a_batch_count_by_their_clips(self, two: Path, tmp_path: Path) -> None:
        wavegans(tmp_path)
        for loss in ("r1", "wgan-gp"):
            logs = [
                [json.loads(line) for line in (folder / loss / "log.jsonl").open()]
                for folder in (tmp_path, two)
            ]
            one, both = (log[0] for log in logs)
            assert one.keys() >= {"generator", "discriminator", "told_apart", "penalty"}
            assert both == pytest.approx(one, abs=1e-5)
            alone, together = state(tmp_path / loss), state(two / loss)
            assert alone.keys() == together.keys()
            for name in alone:
                # Adam makes steps of 2e-4 of gradients that are little more than rounding.
                if name.startswith("module"):
                    difference = (alone[name] - together[name]).float()
                    assert difference.square().mean().sqrt() < 1e-5, name


@pytest.mark.parametrize(("load", "expected"), [(0.3, []), (1.2, [1]), (9.0, [1])])
def test_busy_cores_are_left_to_others(
    load: float,
    expected: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen: list[int] = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    use_threads()
    assert chosen == expected
    assert ("computing with 1 of 2 threads" in capsys.readouterr().err) is bool(expected)
    use_threads(3)
    assert chosen[-1] == 3
    with pytest.raises(InputError, match="`threads` 0"):
        use_threads(0)
