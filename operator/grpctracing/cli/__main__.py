"""Entry point of `python -m grpctracing.cli`."""

import sys

from grpctracing.cli import main

sys.exit(main())
