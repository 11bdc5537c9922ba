"""`python -m components.serving.server --name taxi --base-path DIR`."""

from __future__ import annotations

import sys

from components.serving.server.main import main

sys.exit(main())
