"""Finding the passages of the corpus that answer a question."""

import os
import sys

# OpenBLAS's threads wait for each other busily, which tripled the processor time of MiniLM on a
# machine that had other work. The variable is read once, when numpy is loaded; MiniLM then shares
# the work out itself.
if "numpy" not in sys.modules:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
