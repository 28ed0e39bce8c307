"""`make bench`: all of them."""

from __future__ import annotations

from benchmarks import drawing, folders, inversion, saying, search, vae_step, wavegan

vae_step.main()
drawing.main()
saying.main()
folders.main()
wavegan.main()
inversion.main()
search.main()
