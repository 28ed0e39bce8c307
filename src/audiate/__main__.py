"""`python -m audiate` is the command `audiate`."""

import sys

from audiate.cli import main

sys.exit(main())
