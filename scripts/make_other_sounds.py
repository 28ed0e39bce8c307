"""Make the sounds that `fit_digit_score.py` takes: words, numbers and sentences that are no digits.

Usage: python scripts/make_other_sounds.py OUT [PROMPTS]

They are spoken by espeak-ng (apt install espeak-ng). PROMPTS is a folder with Asterisk's prompts,
of which there are several languages (apt install asterisk-core-sounds-{en,es,fr,it,ru}-wav puts
them in /usr/share/asterisk/sounds). OUT gets fit/, choice/ and report/, whose words, voices and
languages are others, with a folder for each kind. Kinds that begin with "digit" are digits; none
is in a voice of the shipped clips.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

DIGITS = "zero one two three four five six seven eight nine"


class Part(NamedTuple):
    """What a part is made of."""

    words: str
    voices: str
    languages: str
    prompts: str
    takes: int
    made: int = 0  # words that nobody knows


FIT = Part(
    "yes down left off go bed cat house marvin sheila backward follow visual ten twelve hundred oh "
    "thirteen fifteen seventeen nineteen thousand hello please today coffee water green yellow "
    "music table window garden mother letter number paper river summer orange picture morning "
    "people because between school story animal answer and the with what over under again never "
    "heaven fight fine night line hive sick fix weather later great hero narrow run sun who new "
    "show true tea sister better big small open close computer banana a b c f g h j l m p r s w z",
    "en-us+m1 en-us+m4 en-us+f1 en-us+f4 en-us+klatt en-029+m2 en-us-nyc+m6 en-us-nyc+f2 "
    "en-029+f5 en-us+Annie en-us+Andy en-us+croak",
    "de es fr-fr pt nl sv pl cs hu tr fi el hi id sw vi ja ko ar cy",
    "en_US_f_Allison es_MX_f_Allison fr_CA_f_June",
    10,
    1500,
)
CHOICE = Part(
    "no up right on stop bird dog happy wow forward learn eleven twenty fourteen million monday "
    "thanks sorry bread sugar purple kitchen doctor city country winter lemon flower evening "
    "through about every family after before little always button mirror tennis sever bike time "
    "late stew fin son now free k n o q t v y",
    "en-us+m3 en-us+f2 en-029+m7 en-us-nyc+f4 en-us+Mario en-us+Alicia",
    "da ro ca uk et lv ms fa ga sr",
    "it_IT_m_Carlo",
    6,
)
REPORT = Part(
    "maybe tomorrow good apple horse sixteen eighteen thirty sunday welcome cheese silver bottle "
    "teacher village autumn pepper mountain midnight without around another minute guitar pocket "
    "market planet hundredth tree light weight fire ton sound view d e i u x",
    "en-us+m2 en-us+f3 en-029+m5 en-us-nyc+f5 en-us+Lee en-us+linda",
    "it nb bg hr sk sl lt eu ta",
    "ru_RU_f_IvrvoiceRU",
    6,
)
LATE = ("en-us+f3",)
"""Voices of shipped clips, which say no digits here."""
ONSETS = "b d f g h k l m n p r s t v w z S tS dZ T st tr pl kr sw br j fl gr"
VOWELS = "a i: I E 0 V u: U eI aI oU aU O: 3:"
CODAS = "n t k s m l p d z f v N st ks nd b g S tS"
SAME = {"naIn", "wVn", "tu:", "faIv", "sIks", "fO:"}
"""Made words that are digits, as espeak-ng writes sounds."""
SENTENCES = (
    "I would like a cup of tea.",
    "Please close the door behind you.",
    "The train leaves in ten minutes.",
    "What is the weather like today?",
    "She sells sea shells by the shore.",
    "Call me back when you can.",
)
MOST, LARGEST = 150, 50_000  # prompts of a speaker that are words or sentences; bytes, of 3 s


def main() -> None:
    """Write all parts."""
    out, *prompts = (Path(each) for each in sys.argv[1:])
    for name, part in (("fit", FIT), ("choice", CHOICE), ("report", REPORT)):
        rng = random.Random(name)
        for word in part.words.split():
            voices = rng.sample(part.voices.split(), min(part.takes, len(part.voices.split())))
            say(out / name / "words", word, voices, rng)
        own = random.Random(f"{name}-made")
        for at in range(part.made):
            say(out / name / "made", made(own), [own.choice(part.voices.split())], own, str(at))
        for word in DIGITS.split():
            voices = [voice for voice in part.voices.split() if voice not in LATE]
            say(out / name / "digits", word, voices, rng)
        for language in part.languages.split():
            for number in (0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 20):  # many say 6 as English does
                say(out / name / "foreign", str(number), [f"{language}+{rng.choice('mf')}1"], rng)
        for sentence in SENTENCES:
            say(out / name / "sentences", sentence, part.voices.split(), rng)
        for folder in prompts:
            for speaker in part.prompts.split():
                take_prompts(folder / speaker, out / name)
        print(f"{out / name}: {sum(1 for _ in (out / name).rglob('*.wav'))} sounds")


def made(rng: random.Random) -> str:
    """A word of one or two syllables that nobody knows."""
    onsets, vowels, codas = ONSETS.split(), VOWELS.split(), ["", *CODAS.split()]
    while True:
        sounds = rng.choice(onsets) + "'" + rng.choice(vowels) + rng.choice(codas)
        if sounds.replace("'", "") in SAME:
            continue
        more = rng.choice(onsets) + rng.choice(vowels) + rng.choice(codas)
        return f"[[{sounds}{more if rng.random() < 0.5 else ''}]]"


def say(folder: Path, text: str, voices: list[str], rng: random.Random, number: str = "") -> None:
    """Have a text said by voices of espeak-ng, each at its own speed and pitch."""
    folder.mkdir(parents=True, exist_ok=True)
    for voice in voices:
        name = number or f"{text.split()[0].lower()}-{len(text)}"
        path = folder / f"{name}-{voice}.wav"
        how = ["-s", str(rng.randint(110, 190)), "-p", str(rng.randint(25, 75))]
        subprocess.run(["espeak-ng", "-v", voice, *how, "-w", path, text], check=True)


def take_prompts(speaker: Path, out: Path) -> None:
    """Copy the prompts of a speaker: letters, numbers, words and sentences."""
    digits = {f"{digit}.wav" for digit in range(10)}
    english = speaker.name.startswith("en")
    short = [each for each in sorted(speaker.glob("*.wav")) if each.stat().st_size < LARGEST]
    found = [("prompts", each) for each in short[:MOST]]
    for room in ("letters", "phonetic", "digits"):
        for path in sorted((speaker / room).glob("*.wav")):
            if path.stem == "6" and not english:
                continue
            digit = english and room == "digits" and path.name in digits
            found.append(("digits prompts" if digit else f"prompted {room}", path))
    for kind, path in found:
        (out / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, out / kind / f"{speaker.name}-{path.name}")


if __name__ == "__main__":
    main()
