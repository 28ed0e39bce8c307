#!/usr/bin/env bash
# Make the ten spoken digits that ship with the package, with free speech synthesisers:
# apt install espeak-ng flite. Run from the repository's root, with .venv set up.
set -euo pipefail
clips=src/audiate/clips
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

by_flite() { flite -voice "$3" -t "$1" -o "$work/$1-$2.wav"; }
by_espeak() { espeak-ng -v "$3" -s 140 -w "$work/$1-$2.wav" "$1"; }

by_flite zero slt slt
by_flite one kal kal16
by_espeak two female en-us+f3
by_flite three rms rms
by_flite four kal kal16
by_espeak five british en-gb
by_flite six awb awb
by_flite seven rms rms
by_flite eight slt slt
by_espeak nine scottish en-gb-scotland

.venv/bin/python - "$work" "$clips" <<'PYTHON'
import sys
from pathlib import Path

import soundfile

for wav in sorted(Path(sys.argv[1]).glob("*.wav")):
    samples, rate = soundfile.read(wav)
    soundfile.write(Path(sys.argv[2]) / f"{wav.stem}.flac", samples, rate, subtype="PCM_16")
PYTHON
