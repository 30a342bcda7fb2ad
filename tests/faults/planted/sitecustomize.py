"""Plants a defect, and poisonous texts, into each Python program that has this folder on PYTHONPATH.

No program knows of it.
"""

from __future__ import annotations

import importlib
import os

defects, guard, poison = (importlib.import_module(name) for name in ("defects", "guard", "poison"))
defects.plant(os.environ.get("PLANTED_DEFECT", ""))
defects.plant_into(poison.MODULE, poison.poison)
if os.environ.get(guard.VARIABLE):
    defects.plant_into(guard.MODULE, guard.remove)
