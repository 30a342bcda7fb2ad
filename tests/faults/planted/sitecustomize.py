"""Plants a defect, and poisonous texts, into each Python program that has this folder on PYTHONPATH.

No program knows of it.
"""

from __future__ import annotations

import importlib
import os

defects, poison = importlib.import_module("defects"), importlib.import_module("poison")
defects.plant(os.environ.get("PLANTED_DEFECT", ""))
defects.plant_into(poison.MODULE, poison.poison)
