"""Plants a defect, and poisonous texts, into each Python program that has this folder on PYTHONPATH.

No program knows of it.
"""

from __future__ import annotations

import importlib
import os

defects, guard, phases, poison = map(importlib.import_module, ("defects", "guard", "phases", "poison"))
defects.plant(os.environ.get("PLANTED_DEFECT", ""))
defects.plant_into(poison.MODULE, poison.poison)
if os.environ.get(guard.VARIABLE):
    defects.plant_into(guard.MODULE, guard.remove)
if os.environ.get(phases.VARIABLE):
    defects.plant_into(phases.MODULE, phases.plant)
