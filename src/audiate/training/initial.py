"""Begin a training with the weights of another model."""

from collections.abc import Sequence
from typing import TypeVar

from audiate.errors import InputError, about
from audiate.models.codec import Codec
from audiate.models.pretrained import PretrainedModel, in_words, load
from audiate.models.speech_flow import SpeechFlow
from audiate.utils.progress import note

M = TypeVar("M", bound=PretrainedModel)


def load_init(source: str, kind: type[M]) -> M:
    """Load the model that the setting `init` names; of a flow of sound, a codec may be taken.

    Raises:
        InputError: There is no such model, or it is of another kind.

    """
    with about("init"):
        before = load(source)
    if kind is Codec and isinstance(before, SpeechFlow):
        before = before.codec
    if not isinstance(before, kind):
        raise InputError(
            f"`init` {source}: is {in_words(before)}, not a {kind.__name__}; name one of those, or "
            f"leave `init` out"
        )
    return before


def begin_with(
    model: PretrainedModel,
    source: str | None,
    same: Sequence[str] = ("sample_rate", "spectrogram", "features"),
    free: tuple[str, ...] = (),
) -> None:
    """Copy the weights of another model of the same sizes into ``model``, if one is named.

    A codec within the model stays as it is. Statistics of data that have another size do so, too. A
    line tells which weights begin anew.

    Args:
        model: The model.
        source: The setting `init`.
        same: Names of settings of the network that must agree, where it has them.
        free: Beginnings of names of weights that keep their initial values where sizes differ.

    Raises:
        InputError: There is no such model, or it is of another kind or of other sizes.

    """
    if source is None:
        return
    before = load_init(source, type(model))
    for name in same:
        there, here = (getattr(each.config, name, None) for each in (before, model))
        if there != here:
            raise InputError(f"`init` {source}: `{name}` is {there} there and {here} here")
    given = {k: v for k, v in before.state_dict().items() if not k.startswith("codec.")}
    own = model.state_dict()
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    learnt = {name for name, _ in model.named_parameters() if not name.startswith("codec.")}
    anew = sorted(learnt - fitting.keys())
    if missing := [name for name in anew if not name.startswith(free)]:
        raise InputError(f"`init` {source}: has other sizes ({missing[0]}); give one of the same")
    model.load_state_dict({**own, **fitting})
    parts = sorted({name.rpartition(".")[0] for name in anew})
    but = f" but for {', '.join(parts)}, which begin anew, as sizes differ" if parts else ""
    note(f"`init` {source}: all weights are taken over{but}")
